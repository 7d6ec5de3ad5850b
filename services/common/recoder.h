/* How otklik-recoder and otklik-pictures understand each other. */
#ifndef RECODER_H
#define RECODER_H

/* otklik-recoder TYPE PIXELS: standard input is the original, standard output the cleaned file,
 * both of them open files; descriptor 3 gets the report, lines "key value": type, width and height
 * of the original, taken (YYYY-MM-DDTHH:MM:SS and perhaps an offset), lat, lon. */
enum { RECODER_REPORT = 3, RECODER_REPORT_MAX = 512 };

enum recoder_exit {
    RECODER_DONE = 0,
    RECODER_USAGE = 2,
    RECODER_TOO_MANY_PIXELS = 3,
    RECODER_UNREADABLE = 4,
    RECODER_NO_SANDBOX = 5, /* the machine's fault */
    RECODER_NO_OUTPUT = 6   /* the disk's */
};

#endif
