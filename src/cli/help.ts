/** What `stp --help` teaches below the list of commands. */

export const EXAMPLES_HELP = `Examples:
  stp run -- node server.js                   serve over the region as well as over TCP
  stp run -- node client.js                   connect over the region where the server is in it
  stp run --net stp -- npm start              no TCP at all: who is not in the region is refused
  STP_REGION=/mnt/shared/r stp run -- node .  talk to programs that share a directory and no network
  stp ss                                      see who is connected to whom
  stp doctor /mnt/shared --peer               measure a directory together with a host where stp doctor --join runs
  stp reset                                   remove the region when nobody uses it
  node --require stp-net/register server.js   the same as stp run, without stp`;

export const ENVIRONMENT_HELP = `Environment (options of stp run set it for the command):
  STP_REGION  directory of the region; default /dev/shm/stp-<uid>, elsewhere in the temp directory
  STP_REGION_MODE  0700 (default): a region is for its user; 0770: for its group as well
  STP_NET     auto (default): servers listen on STP and TCP, clients go by STP where a live STP listener is;
              stp: STP only; tcp: everything goes by TCP
  STP_RULES   exceptions, first match wins: 'stp :3000-3999; tcp *.example.com; auto *'
  STP_DRIVER  auto (default), mapped (shared memory, needs koffi), direct (plain file I/O)
  STP_SYSTEM  name of this system in the region; default the host name
  STP_GROUP   transport group, a space of port numbers of its own; default STG
  STP_LEASE_MS  of a region made now: after so many milliseconds without a sign of life a process of
              another host is dead; default 5000
  STP_TRACE   1: print each STP call to standard error`;

export const EXIT_HELP = `Exit codes:
  0    done
  1    it could not be done; one line on standard error says why
  2    the command line or an environment variable is wrong
  126  stp run: the command can not be executed
  127  stp run: there is no such command
  else stp run ends as its command does: by the same exit code, or by the same signal`;
