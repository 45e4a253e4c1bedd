/*
 * Connecting: two clients, each a process, ask one listener whose queue takes one request; each connects up to twice,
 * gives up when it likes (PATIENT: never), and may die, as may the server; the listener ends when it likes.
 *
 * Stands for handshake.ts, dispatch.ts and deaths.ts of src/engine. `=` names the function that a line stands
 * for; docs/models.md has the table. Logs keep order and are read to their end after the death of the writer; each
 * event is one step. What follows a connect (bytes, credit, ends) is in hand-over.pml; here a connected client says
 * BYE.
 *
 * Properties: the queue never holds more than the backlog (assert); ACCEPT reaches only a client that waits for it, or
 * is answered (assert); at the end, when nothing can happen any more, no client waits, and the server has no socket
 * whose client is not there (assert).
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#define CLIENTS 2
#define TRIES 2
#define BACKLOG 1
#define SERVER CLIENTS
/* One connect of one client: its socket and generation. */
#define NAME(c, g) ((c) * TRIES + (g))

mtype = { CONNECT, CANCEL, BYE, GONE, ACCEPT, AGAIN, REFUSE, RESET };
mtype = { IDLE, CONNECTING, WAITING, CONNECTED, CLOSED };

chan toServer[CLIENTS] = [5] of { mtype, byte };
chan toClient[CLIENTS] = [5] of { mtype, byte };
chan queue = [BACKLOG + 1] of { byte, byte };
mtype state[CLIENTS] = IDLE;
byte tries[CLIENTS];
bool listening = true, dead[CLIENTS + 1], known[CLIENTS], accepted[CLIENTS * TRIES];
byte deaths;

#define SPEAK(log, type) if :: dead[SERVER] -> skip :: else -> assert(nfull(log)); log!type, g fi

proctype Client(byte c) {
  byte g, which;
end:
  do
  :: dead[c] -> break
  /* = connect, sendConnect */
  :: atomic { !dead[c] && state[c] == IDLE && tries[c] < TRIES && !dead[SERVER] -> g = tries[c]; tries[c]++; state[c] = CONNECTING; SPEAK(toServer[c], CONNECT) }
  /* = askAgain */
  :: atomic { !dead[c] && state[c] == WAITING -> state[c] = CONNECTING; SPEAK(toServer[c], CONNECT) }
#ifndef PATIENT
  /* = sendCancel, by the connect timer */
  :: atomic { !dead[c] && (state[c] == CONNECTING || state[c] == WAITING) && nfull(toServer[c]) -> state[c] = IDLE; SPEAK(toServer[c], CANCEL) }
#endif
  /* STPclose */
  :: atomic { !dead[c] && state[c] == CONNECTED -> state[c] = IDLE; SPEAK(toServer[c], BYE) }
  :: atomic { !dead[c] && nempty(toClient[c]) && nfull(toServer[c]) ->
      if
      /* = onAccept; answered with GONE where nobody waits for it */
      :: toClient[c]?ACCEPT, which ->
        if
#ifdef NO_GENERATION
        :: state[c] == CONNECTING -> state[c] = CONNECTED
        :: else -> SPEAK(toServer[c], GONE)
#else
        :: (state[c] == CONNECTING) && which == g -> state[c] = CONNECTED
        :: else ->
#ifndef NO_GONE
          if :: dead[SERVER] -> skip :: else -> toServer[c]!GONE, which fi
#else
          skip
#endif
#endif
        fi
      /* = onRefuse */
      :: toClient[c]?AGAIN, which ->
        if
#ifdef NO_RETRY
        :: false
#else
        :: state[c] == CONNECTING && which == g -> state[c] = WAITING
#endif
        :: else
        fi
      :: toClient[c]?REFUSE, which -> if :: (state[c] == CONNECTING) && which == g -> state[c] = IDLE :: else fi
      :: toClient[c]?RESET, which -> if :: (state[c] == CONNECTED) && which == g -> state[c] = IDLE :: else fi
      fi;
      which = 0
    }
  /* = peerGone */
  :: atomic { !dead[c] && dead[SERVER] && empty(toClient[c]) && (state[c] == CONNECTING || state[c] == WAITING || state[c] == CONNECTED) -> state[c] = IDLE }
  :: atomic { !dead[c] && deaths < DEATHS -> deaths++; dead[c] = true; state[c] = CLOSED; g = 0 }
  od
}

inline take(c) {
  if
  /* = onConnect */
  :: toServer[c]?CONNECT, g ->
    if
    :: !listening ->
#ifdef NO_REFUSE
      skip
#else
      answer(c, REFUSE)
#endif
#ifdef NO_BACKLOG
    :: listening && full(queue) -> answer(c, AGAIN)
    :: listening && nfull(queue) -> queue!c, g
#else
    :: listening && len(queue) >= BACKLOG -> answer(c, AGAIN)
    :: listening && len(queue) < BACKLOG -> queue!c, g
#endif
    fi
  /* = onCancel */
  :: toServer[c]?CANCEL, g ->
    if
    :: queue??[eval(c), eval(g)] -> queue??eval(c), eval(g)
    :: else
    fi
  :: toServer[c]?BYE, g -> accepted[NAME(c, g)] = false
  /* = onGone */
  :: toServer[c]?GONE, g -> accepted[NAME(c, g)] = false
  fi;
  g = 0
}

inline answer(c, type) {
  if :: !dead[c] -> toClient[c]!type, g :: else fi
}

/* = peerGone */
inline lose(c) {
  known[c] = true;
#ifndef QUEUE_KEEPS_DEAD
  do
  :: queue??[eval(c), 0] -> queue??eval(c), 0
  :: queue??[eval(c), 1] -> queue??eval(c), 1
  :: !(queue??[eval(c), 0]) && !(queue??[eval(c), 1]) -> break
  od;
#endif
  accepted[NAME(c, 0)] = false; accepted[NAME(c, 1)] = false
}

proctype Server() {
  byte g, who;
end:
  do
  :: dead[SERVER] -> break
  :: atomic { !dead[SERVER] && nempty(toServer[0]) && nfull(toClient[0]) -> take(0) }
  :: atomic { !dead[SERVER] && nempty(toServer[1]) && nfull(toClient[1]) -> take(1) }
  /* = accept, begin */
  :: atomic { !dead[SERVER] && nempty(queue) && nfull(toClient[0]) && nfull(toClient[1]) ->
      assert(len(queue) <= BACKLOG);
      queue?who, g; accepted[NAME(who, g)] = true; answer(who, ACCEPT); who = 0; g = 0
    }
  /* = stopListening */
  :: atomic { !dead[SERVER] && listening && nfull(toClient[0]) && nfull(toClient[1]) ->
      listening = false;
      do
      :: nempty(queue) ->
        queue?who, g;
#ifndef NO_REFUSE_AT_END
        answer(who, REFUSE)
#endif
      :: empty(queue) -> break
      od;
      who = 0; g = 0
    }
  :: atomic { !dead[SERVER] && dead[0] && empty(toServer[0]) && !known[0] -> lose(0) }
  :: atomic { !dead[SERVER] && dead[1] && empty(toServer[1]) && !known[1] -> lose(1) }
  :: atomic { !dead[SERVER] && deaths < DEATHS -> deaths++; dead[SERVER] = true }
  od
}

/* Nothing can happen any more. */
proctype Judge() {
  timeout ->
    assert(state[0] != CONNECTING && state[0] != WAITING && state[1] != CONNECTING && state[1] != WAITING);
    assert(dead[SERVER] || !listening && empty(queue));
    assert(dead[SERVER] || !accepted[0] && !accepted[1] && !accepted[2] && !accepted[3])
}

init { atomic { run Client(0); run Client(1); run Server(); run Judge() } }
