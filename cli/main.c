/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/paths.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

/* Options that only some commands have. */
enum {
    HAS_FILE = 1 << 0,
    HAS_FLAGS = 1 << 1,
    HAS_WATCH = 1 << 2,
    HAS_BRIDGE = 1 << 3,
};

/* Dispatch, help and completion at once. */
static const struct command {
    const char *name;
    const char *args;
    const char *help;
    int min_args, max_args;
    unsigned int options;
    int (*run)(struct ctl *);
} commands[] = {
    { "capabilities", "", "what the server can do", 0, 0, 0,
      ctl_capabilities },
    { "create", "[ID] KIND FLAGS", "create a tunnel, or those of --file",
      0, 2, HAS_FILE | HAS_FLAGS, ctl_create },
    { "update", "ID [KIND] FLAGS", "change what the flags name", 0, 2,
      HAS_FILE | HAS_FLAGS, ctl_update },
    { "delete", "ID...", "delete tunnels", 0, INT_MAX, HAS_FILE, ctl_delete },
    { "apply", "", "do what each request of --file says", 0, 0, HAS_FILE,
      ctl_apply },
    { "list", "", "all tunnels", 0, 0, 0, ctl_list },
    { "show", "ID", "one tunnel and its counters", 1, 1, 0, ctl_show },
    { "stats", "[ID]", "counters of one tunnel, or of all", 0, 1, HAS_WATCH,
      ctl_stats },
    { "chains", "", "which tunnel hands its packets to which", 0, 0, 0,
      ctl_chains },
    { "flows", "ID", "the tunnel's flows in the switch (local)", 1, 1, 0,
      ctl_flows },
    { "explain", "ID", "asked, stored, installed, missing (local)", 1, 1, 0,
      ctl_explain },
    { "trace", "FLOW [ARG...]", "ofproto/trace with names (local)", 1,
      INT_MAX, HAS_BRIDGE, ctl_trace },
    { NULL, NULL, NULL, 0, 0, 0, NULL },
};

enum {
    OPT_TARGET = UCHAR_MAX + 1,
    OPT_SERVER_NAME,
    OPT_DAEMON,
    OPT_VSWITCHD,
    OPT_PROGRESS,
    OPT_BRIDGE,
    OPT_WATCH,
    OPT_COUNT,
    OPT_COMMANDS,
    OPT_OPTIONS,
    TABLE_OPTION_ENUMS,
    VLOG_OPTION_ENUMS,
    OPT_FLAG_BASE = 1000,       /* + place in otd_request_flags. */
};

/* Without the flags of requests, which options_create() adds. */
static const struct option fixed_options[] = {
    {"target", required_argument, NULL, OPT_TARGET},
    {"timeout", required_argument, NULL, 't'},
    {"private-key", required_argument, NULL, 'p'},
    {"certificate", required_argument, NULL, 'c'},
    {"ca-cert", required_argument, NULL, 'C'},
    {"server-name", required_argument, NULL, OPT_SERVER_NAME},
    {"daemon", required_argument, NULL, OPT_DAEMON},
    {"vswitchd", required_argument, NULL, OPT_VSWITCHD},
    {"progress", no_argument, NULL, OPT_PROGRESS},
    {"file", required_argument, NULL, 'F'},
    {"watch", optional_argument, NULL, OPT_WATCH},
    {"count", required_argument, NULL, OPT_COUNT},
    {"bridge", required_argument, NULL, OPT_BRIDGE},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"commands", no_argument, NULL, OPT_COMMANDS},
    {"options", no_argument, NULL, OPT_OPTIONS},
    TABLE_LONG_OPTIONS,
    VLOG_LONG_OPTIONS,
};

/* True for the first flag of its name. */
static bool
is_first_of_name(const struct otd_request_flag *flag)
{
    for (const struct otd_request_flag *f = otd_request_flags; f < flag; f++) {
        if (!strcmp(f->name, flag->name)) {
            return false;
        }
    }
    return true;
}

/* Returns owned. */
static struct option *
options_create(void)
{
    const struct otd_request_flag *f;
    struct option *options;
    size_t n = ARRAY_SIZE(fixed_options);

    for (f = otd_request_flags; f->name; f++) {
        n++;
    }
    options = xcalloc(n + 1, sizeof *options);
    memcpy(options, fixed_options, sizeof fixed_options);
    n = ARRAY_SIZE(fixed_options);
    for (f = otd_request_flags; f->name; f++) {
        if (is_first_of_name(f)) {
            options[n++] = (struct option) {
                f->name, f->arg ? required_argument : no_argument, NULL,
                OPT_FLAG_BASE + (f - otd_request_flags)
            };
        }
    }
    return options;
}

/* ---- Help. */

static void
print_flags(void)
{
    const struct otd_request_kind_info *k;
    const struct otd_request_flag *f;

    puts("\nFlags of create and update, for every kind of tunnel:");
    for (f = otd_request_flags; f->name; f++) {
        if (!f->kinds) {
            printf("  --%s=%-*s %s\n", f->name,
                   MAX(0, 24 - (int) strlen(f->name)), f->arg, f->help);
        }
    }
    for (k = otd_request_kinds; k->name; k++) {
        bool any = false;

        for (f = otd_request_flags; f->name; f++) {
            if (f->kinds & k->kind) {
                if (!any) {
                    printf("\nFlags of kind %s:\n", k->name);
                }
                any = true;
                printf("  --%s%s%-*s %s\n", f->name, f->arg ? "=" : " ",
                       MAX(0, 24 - (int) strlen(f->name)),
                       f->arg ? f->arg : "", f->help);
            }
        }
        if (!any) {
            printf("\nKind %s has no flags of its own.\n", k->name);
        }
    }
}

static void
usage(void)
{
    char *target = otd_default_listen();

    printf("%s: tunnels of ovs-tunneld\n"
           "usage: %s [OPTIONS] COMMAND [ARG...]\n\nCommands:\n",
           program_name, program_name);
    for (const struct command *c = commands; c->name; c++) {
        printf("  %-12s %-16s %s\n", c->name, c->args, c->help);
    }
    print_flags();
    printf("\nOptions of some commands:\n"
           "  -F, --file=FILE           requests as JSON; - for standard "
           "input\n"
           "  --watch[=SECONDS]         stats: again and again\n"
           "  --count=N                 stats: stop --watch after N times\n"
           "  --bridge=NAME             trace: on this bridge (br-int)\n"
           "\nConnection:\n"
           "  --target=ADDRESS          unix:PATH, tls:HOST:PORT or\n"
           "                            insecure:HOST:PORT\n"
           "                            (default: %s)\n"
           "  -p, --private-key=FILE    PEM private key\n"
           "  -c, --certificate=FILE    PEM certificate for the private key\n"
           "  -C, --ca-cert=FILE        PEM certificate that signed the "
           "server's\n"
           "  --server-name=NAME        name in the server's certificate\n"
           "  --daemon=TARGET           control socket of ovs-tunneld\n"
           "  --vswitchd=TARGET         control socket of ovs-vswitchd\n"
           "  -t, --timeout=SECS        give up after SECS seconds\n", target);
    table_usage();
    vlog_usage();
    printf("\nOther options:\n"
           "  --max-column-width=N      cut the columns of tables\n"
           "  --progress                say how far an import is\n"
           "  -h, --help                display this help message\n"
           "  -V, --version             display version information\n"
           "\nExit status: 0 done, 1 failed, 2 wrong usage.\n");
    free(target);
}

/* For the shell's completion, which must not know any name itself. */
static void
print_commands(void)
{
    for (const struct command *c = commands; c->name; c++) {
        printf("%s%s%s%s%s\n", c->name,
               c->options & HAS_FILE ? " file" : "",
               c->options & HAS_FLAGS ? " flags" : "",
               c->options & HAS_WATCH ? " watch" : "",
               c->options & HAS_BRIDGE ? " bridge" : "");
    }
}

static void
print_options(const struct option *options)
{
    const struct otd_request_kind_info *k;

    for (; options->name; options++) {
        if (options->val != OPT_COMMANDS && options->val != OPT_OPTIONS) {
            const char *group = options->val >= OPT_FLAG_BASE ? "flags"
                : options->val == 'F' ? "file"
                : options->val == OPT_WATCH || options->val == OPT_COUNT
                ? "watch"
                : options->val == OPT_BRIDGE ? "bridge" : "any";

            printf("%s --%s%s\n", group, options->name,
                   options->has_arg == required_argument ? "=" : "");
        }
    }
    for (k = otd_request_kinds; k->name; k++) {
        printf("flags %s\n", k->name);
    }
}

/* ---- Parsing. */

/* What the command line says, before the command is known. */
struct parsed {
    unsigned int used;          /* HAS_* of the options that were given. */
    const char *used_name[4];   /* By bit, for the error. */
    char **args;                /* All arguments that are not options. */
    int n_args;
};

static void
mark_used(struct parsed *p, int bit, const char *name)
{
    p->used |= 1u << bit;
    p->used_name[bit] = name;
}

static bool
parse_format(const char *arg, struct table_style *style)
{
    static const char *const names[] = {
        "table", "list", "html", "csv", "json", NULL,
    };

    for (size_t i = 0; names[i]; i++) {
        if (!strcmp(arg, names[i])) {
            table_parse_format(style, arg);
            return true;
        }
    }
    ctl_usage_error("\"%s\" is not a format: table, list, html, csv or json",
                    arg);
    return false;
}

static bool
parse_seconds(const char *arg, double *seconds)
{
    char *end;

    *seconds = strtod(arg, &end);
    if (*end || end == arg || !(*seconds > 0 && *seconds <= 86400)) {
        ctl_usage_error("\"%s\" is not a number of seconds", arg);
        return false;
    }
    return true;
}

/* Takes an option that needs no check.  Returns true if it was one. */
static bool
parse_simple_option(struct ctl *ctl, int c)
{
    switch (c) {
    case OPT_TARGET:
        free(ctl->target);
        ctl->target = xstrdup(optarg);
        return true;
    case 'p':
        ctl->private_key = optarg;
        return true;
    case 'c':
        ctl->certificate = optarg;
        return true;
    case 'C':
        ctl->ca_cert = optarg;
        return true;
    case OPT_SERVER_NAME:
        ctl->server_name = optarg;
        return true;
    case OPT_DAEMON:
        ctl->daemon = optarg;
        return true;
    case OPT_VSWITCHD:
        ctl->vswitchd = optarg;
        return true;
    case OPT_PROGRESS:
        ctl->progress = true;
        return true;
    default:
        return false;
    }
}

static void
add_flag(struct ctl *ctl, const struct otd_request_flag *flag)
{
    if (ctl->n_flags >= ctl->allocated_flags) {
        ctl->flags = x2nrealloc(ctl->flags, &ctl->allocated_flags,
                                sizeof *ctl->flags);
    }
    ctl->flags[ctl->n_flags++]
        = (struct otd_flag_value) { flag->name, optarg };
}

/* Options of some commands.  CTL_OK if it was one, -1 if not, or an error. */
static int
parse_command_option(struct ctl *ctl, struct parsed *p, int c)
{
    char *end;

    if (c >= OPT_FLAG_BASE) {
        const struct otd_request_flag *f
            = &otd_request_flags[c - OPT_FLAG_BASE];

        mark_used(p, 1, f->name);
        add_flag(ctl, f);
        return CTL_OK;
    }
    switch (c) {
    case 'F':
        mark_used(p, 0, "file");
        ctl->file = optarg;
        return CTL_OK;
    case OPT_WATCH:
        mark_used(p, 2, "watch");
        ctl->watch = 1;
        return !optarg || parse_seconds(optarg, &ctl->watch) ? CTL_OK
               : CTL_USAGE;
    case OPT_COUNT:
        mark_used(p, 2, "count");
        ctl->count = strtoul(optarg, &end, 10);
        return !*end && ctl->count ? CTL_OK
               : ctl_usage_error("\"%s\" is not a count", optarg);
    case OPT_BRIDGE:
        mark_used(p, 3, "bridge");
        ctl->bridge = optarg;
        return CTL_OK;
    default:
        return -1;
    }
}

/* Options that print something and end the program; true if 'c' is one. */
static bool
run_informative_option(int c, const struct option *options)
{
    switch (c) {
    case 'h':
        usage();
        return true;
    case 'V':
        ovs_print_version(0, 0);
        return true;
    case OPT_COMMANDS:
        print_commands();
        return true;
    case OPT_OPTIONS:
        print_options(options);
        return true;
    default:
        return false;
    }
}

/* Handles the rest.  CTL_OK, or an error. */
static int
parse_other_option(struct ctl *ctl, int c)
{
    double seconds;

    switch (c) {
    case 't':
        if (!parse_seconds(optarg, &seconds)) {
            return CTL_USAGE;
        }
        ctl->deadline = time_msec() + seconds * 1000;
        return CTL_OK;
    case 'f':
        ctl->format_given = true;
        return parse_format(optarg, &ctl->style) ? CTL_OK : CTL_USAGE;
    case OPT_NO_HEADINGS:
        ctl->style.headings = false;
        return CTL_OK;
    case OPT_PRETTY:
        ctl->style.json_flags |= JSSF_PRETTY;
        return CTL_OK;
    case OPT_BARE:
        ctl->format_given = true;
        ctl->style.format = TF_LIST;
        ctl->style.cell_format = CF_BARE;
        ctl->style.headings = false;
        return CTL_OK;
    case OPT_MAX_COLUMN_WIDTH:
        ctl->style.max_column_width = atoi(optarg);
        return CTL_OK;
    case 'd':
        table_parse_cell_format(&ctl->style, optarg);
        return CTL_OK;
    VLOG_OPTION_HANDLERS
    default:                    /* getopt_long() has said what is wrong. */
        fprintf(stderr, "try \"%s --help\"\n", program_name);
        return CTL_USAGE;
    }
    return CTL_OK;
}

/* Returns CTL_OK with '*done' if the program is to end at once. */
static int
parse_options(struct ctl *ctl, int argc, char *argv[], struct parsed *p,
              bool *done)
{
    struct option *options = options_create();
    int retval = CTL_OK;

    /* '-': arguments come in their place, with code 1, so that options may
     * stand after the command whatever the environment says. */
    while (retval == CTL_OK && !*done) {
        int c = getopt_long(argc, argv, "-t:p:c:C:F:f:d:v::hV", options, NULL);

        if (c == -1) {
            break;
        } else if (c == 1) {
            p->args[p->n_args++] = optarg;
        } else if (run_informative_option(c, options)) {
            *done = true;
        } else if (!parse_simple_option(ctl, c)) {
            retval = parse_command_option(ctl, p, c);
            if (retval < 0) {
                retval = parse_other_option(ctl, c);
            }
        }
    }
    while (optind < argc) {     /* After "--". */
        p->args[p->n_args++] = argv[optind++];
    }
    free(options);
    return retval;
}

static int
run_command(struct ctl *ctl, const struct parsed *p)
{
    const struct command *c;

    if (!p->n_args) {
        return ctl_usage_error("no command given");
    }
    for (c = commands; c->name && strcmp(c->name, p->args[0]); c++) {
        continue;
    }
    if (!c->name) {
        return ctl_usage_error("\"%s\" is not a command", p->args[0]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(p->used_name); i++) {
        if (p->used & ~c->options & 1u << i) {
            return ctl_usage_error("--%s does not go with %s",
                                   p->used_name[i], c->name);
        }
    }
    ctl->argc = p->n_args - 1;
    ctl->argv = p->args + 1;
    if (ctl->argc < c->min_args || ctl->argc > c->max_args) {
        return ctl_usage_error("usage: %s %s %s", program_name, c->name,
                               c->args);
    }
    return c->run(ctl);
}

int
main(int argc, char *argv[])
{
    struct ctl ctl = {
        .target = otd_default_listen(),
        .daemon = "ovs-tunneld",
        .vswitchd = "ovs-vswitchd",
        .bridge = "br-int",
        .style = TABLE_STYLE_DEFAULT,
    };
    struct parsed p = { .n_args = 0 };
    bool done = false;
    int retval;

    ovs_set_program_name(argv[0], OTD_VERSION);
    vlog_set_levels(NULL, VLF_CONSOLE, VLL_WARN);
    vlog_set_levels(NULL, VLF_SYSLOG, VLL_OFF);
    ctl.style.format = TF_TABLE;
    p.args = xcalloc(argc + 1, sizeof *p.args);

    retval = parse_options(&ctl, argc, argv, &p, &done);
    if (retval == CTL_OK && !done) {
        retval = run_command(&ctl, &p);
    }
    ctl_disconnect(&ctl);
    free(ctl.flags);
    free(ctl.target);
    free(p.args);
    if (fflush(stdout) || ferror(stdout)) {
        retval = ctl_error("standard output: %s", ovs_strerror(errno));
    }
    return retval;
}
