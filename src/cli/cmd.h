// Every command, by name: commands.c lists them.
#ifndef LG_CLI_CMD_H
#define LG_CLI_CMD_H

#include "cli/command.h"

extern const struct lg_command lg_cmd_alloc;
extern const struct lg_command lg_cmd_attach;
extern const struct lg_command lg_cmd_clrstack;
extern const struct lg_command lg_cmd_clrthreads;
extern const struct lg_command lg_cmd_diff;
extern const struct lg_command lg_cmd_dumpalc;
extern const struct lg_command lg_cmd_dumparray;
extern const struct lg_command lg_cmd_dumpdomain;
extern const struct lg_command lg_cmd_dumpheap;
extern const struct lg_command lg_cmd_dumpobj;
extern const struct lg_command lg_cmd_dumpstackobjects;
extern const struct lg_command lg_cmd_dumpvc;
extern const struct lg_command lg_cmd_eeheap;
extern const struct lg_command lg_cmd_finalizequeue;
extern const struct lg_command lg_cmd_gchandles;
extern const struct lg_command lg_cmd_gcheapstat;
extern const struct lg_command lg_cmd_gcroot;
extern const struct lg_command lg_cmd_gcs;
extern const struct lg_command lg_cmd_handles_alloc;
extern const struct lg_command lg_cmd_help;
extern const struct lg_command lg_cmd_modules;
extern const struct lg_command lg_cmd_limits;
extern const struct lg_command lg_cmd_objsize;
extern const struct lg_command lg_cmd_open;
extern const struct lg_command lg_cmd_pathto;
extern const struct lg_command lg_cmd_ps;
extern const struct lg_command lg_cmd_quit;
extern const struct lg_command lg_cmd_refresh;
extern const struct lg_command lg_cmd_retained;
extern const struct lg_command lg_cmd_info;
extern const struct lg_command lg_cmd_run;
extern const struct lg_command lg_cmd_snapshot;
extern const struct lg_command lg_cmd_vadump;
extern const struct lg_command lg_cmd_watch;

// What `help NAME` and `NAME --help` say.
LG_MUST_CHECK struct lg_error *lg_help_about(const struct lg_command *command, struct lg_report **ret);
// What `help` says.
LG_MUST_CHECK struct lg_error *lg_help_all(struct lg_report **ret);

#endif
