/* Runs a fuzz target over files that are kept, without libFuzzer: replay FOLDER. The last line says
 * how many there were; the one before an error, which of them it was. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes of PATH in a piece of memory of just their size, so that what reads beyond is seen.
 * NULL when it cannot be read. */
static uint8_t *read_file(const char *path, size_t *n)
{
    FILE *in = fopen(path, "rb");
    long size = -1;
    if (in != NULL && fseek(in, 0, SEEK_END) == 0) {
        size = ftell(in);
    }
    uint8_t *bytes = size < 0 ? NULL : malloc((size_t)size + (size == 0));
    if (bytes != NULL && (fseek(in, 0, SEEK_SET) != 0 ||
                          fread(bytes, 1, (size_t)size, in) != (size_t)size)) {
        free(bytes);
        bytes = NULL;
    }
    if (in != NULL) {
        fclose(in);
    }
    *n = size < 0 ? 0 : (size_t)size;
    return bytes;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int n = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;
    if (n < 0) {
        fprintf(stderr, "replay FOLDER: there is none\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < n; i++) {
        char path[4096];
        size_t size;
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        puts(path);
        uint8_t *bytes = read_file(path, &size);
        if (bytes == NULL) {
            perror(path);
            return 2;
        }
        LLVMFuzzerTestOneInput(bytes, size);
        free(bytes);
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs\n", n);
    return 0;
}
