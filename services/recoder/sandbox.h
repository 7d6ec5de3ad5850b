/* Walls around a program that reads what strangers sent. */
#ifndef SANDBOX_H
#define SANDBOX_H

/* Limits of processor time (seconds), memory and length of what is written (bytes): the kernel ends
 * whoever goes beyond. 0, or -1. */
int sandbox_limits(long cpu_s, long memory, long output);
/* From now on: no file can be opened, no socket made, no program started, no process but threads.
 * What is open stays open. For good. 0, or -1. */
int sandbox_close(void);

#endif
