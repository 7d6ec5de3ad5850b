/* Places of files outside of the database, and how a file comes to its place for good. */
#ifndef FILES_H
#define FILES_H

#include "otklik.h"

enum { FILE_PLACE = 64, FILE_PATH = 512 };

/* RR/abcdef/ID: the place of a file under originals or cleaned. The first letters of a UUIDv7 are
 * its time: folders of about five hours each. */
void file_place(int region, const char *id, char out[FILE_PLACE]);
/* Makes FOLDER/NAME unless it is there, and looks whether it can be written to. 0, or -1 with the
 * reason logged. */
int file_folder(const char *folder, const char *name);
/* Flushes FD, which is FROM, moves it to TO and flushes the folders, which are made if need be:
 * whenever the machine stops, TO is whole or not there. TO is changed and changed back. Blocks. 0,
 * or -1 with errno. */
int file_settle(int fd, const char *from, char *to);

#endif
