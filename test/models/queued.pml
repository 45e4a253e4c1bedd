/*
 * Connected before the accept: two client processes ask one listener whose backlog is one, one of them twice at a time.
 * Where a client process has a place in the listener's queue its program is told as soon as CONNECT is published, and
 * may send a byte, close, or die; else it waits for ACCEPT, as in connect.pml. The listener ends when it likes, and
 * processes die.
 *
 * Stands for src/engine/early.ts, request.ts, queued-counts.ts; `=` names the function that a line stands for;
 * docs/models.md has the table. Logs keep order and are read to their end after the death of the writer; each event is
 * one step.
 *
 * Properties: a request whose program was told is accepted with all that was sent, unless its listener ends, whatever
 * becomes of the client (assert); the queue holds no more of a client process than the backlog (assert); at the end no
 * program waits (assert).
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#define CLIENTS 2
#define TRIES 2
#define BACKLOG 1
#define SERVER CLIENTS
#define REQUESTS 4
#define NAME(c, g) ((c) * TRIES + (g))
#define OWNER(n) ((n) / TRIES)

mtype = { CONNECT, EARLY, CANCEL, DATA, FIN, ACCEPT, AGAIN, REFUSE };
mtype = { NONE, PLACED, ASKING, WAITING, OPEN, CLOSED, ENDED };

chan toServer[CLIENTS] = [6] of { mtype, byte };
chan toClient[CLIENTS] = [6] of { mtype, byte };
chan queue = [REQUESTS] of { byte, bool };
mtype phase[REQUESTS] = NONE;
bool told[REQUESTS], sent[REQUESTS], closed[REQUESTS], place[REQUESTS], early[REQUESTS];
bool waits[REQUESTS], accepted[REQUESTS], refused[REQUESTS], got[REQUESTS], ended[REQUESTS];
byte tries[CLIENTS], deaths;
bool listening = true, dead[CLIENTS + 1], known[CLIENTS];

#define SPEAK(c, type, n) if :: dead[SERVER] -> skip :: else -> toServer[c]!type, n fi
#define LOST(n) (phase[n] == PLACED || phase[n] == ASKING || phase[n] == WAITING || phase[n] == OPEN)
#define PLACES(c) (place[NAME(c, 0)] + place[NAME(c, 1)])

/* = sendConnect, takePlace */
inline ask(c, n) {
  if
#ifdef NO_COUNT
  :: true ->
#else
  :: PLACES(c) < BACKLOG || place[n] ->
#endif
    place[n] = true; early[n] = true; phase[n] = PLACED; SPEAK(c, EARLY, n)
  :: else -> phase[n] = ASKING; SPEAK(c, CONNECT, n)
  fi
}

/* What the program of one request may do, and its timers. */
#define STEPS(c, n) \
  /* = tellQueued */ \
  :: atomic { !dead[c] && phase[n] == PLACED && !told[n] -> told[n] = true } \
  /* = askAgain */ \
  :: atomic { !dead[c] && phase[n] == WAITING && nfull(toServer[c]) -> ask(c, n) } \
  /* = sendCancel, by the connect timer: only until the program is told */ \
  :: atomic { !dead[c] && (phase[n] == PLACED || phase[n] == ASKING || phase[n] == WAITING) && !told[n] && nfull(toServer[c]) -> \
      phase[n] = ENDED; place[n] = false; SPEAK(c, CANCEL, n) } \
  /* = send */ \
  :: atomic { !dead[c] && told[n] && !sent[n] && (phase[n] == PLACED || phase[n] == OPEN) && nfull(toServer[c]) -> sent[n] = true; SPEAK(c, DATA, n) } \
  /* = close, sendFin */ \
  :: atomic { !dead[c] && told[n] && (phase[n] == PLACED || phase[n] == OPEN) && nfull(toServer[c]) -> closed[n] = true; phase[n] = CLOSED; CLOSE(c, n) }

#ifdef CANCEL_AT_CLOSE
#define CLOSE(c, n) SPEAK(c, CANCEL, n)
#else
#ifdef FREE_AT_CLOSE
#define CLOSE(c, n) place[n] = false; SPEAK(c, FIN, n)
#else
#define CLOSE(c, n) SPEAK(c, FIN, n)
#endif
#endif

proctype Client(byte c) {
  byte n;
end:
  do
  :: dead[c] -> break
  :: atomic { !dead[c] && tries[c] < TRIES - c && !dead[SERVER] && nfull(toServer[c]) -> n = NAME(c, tries[c]); tries[c]++; ask(c, n); n = 0 }
  STEPS(c, NAME(c, 0))
  STEPS(c, NAME(c, 1))
  :: atomic { !dead[c] && nempty(toClient[c]) ->
      if
      /* = onAccept; the place is free whatever became of the socket */
      :: toClient[c]?ACCEPT, n -> place[n] = false;
        if :: phase[n] == PLACED || phase[n] == ASKING -> phase[n] = OPEN; told[n] = true :: else fi
      /* = onRefuse */
      :: toClient[c]?AGAIN, n -> place[n] = false; if :: phase[n] == ASKING -> phase[n] = WAITING :: phase[n] == PLACED -> phase[n] = ENDED :: else fi
      :: toClient[c]?REFUSE, n -> place[n] = false; if :: phase[n] == PLACED || phase[n] == ASKING -> phase[n] = ENDED :: else fi
      fi;
      n = 0
    }
  /* = peerGone */
  :: atomic { !dead[c] && dead[SERVER] && empty(toClient[c]) && (LOST(NAME(c, 0)) || LOST(NAME(c, 1))) ->
      if :: LOST(NAME(c, 0)) -> phase[NAME(c, 0)] = ENDED :: else fi;
      if :: LOST(NAME(c, 1)) -> phase[NAME(c, 1)] = ENDED :: else fi
    }
  :: atomic { !dead[c] && deaths < DEATHS -> deaths++; dead[c] = true }
  od
}

inline answer(type, n) {
  if :: dead[OWNER(n)] -> skip :: else -> toClient[OWNER(n)]!type, n fi
}

/* = onConnect: a request whose program goes on is taken however many of others wait */
inline enqueue(n, isEarly) {
  if
  :: !listening -> refused[n] = true; answer(REFUSE, n)
#ifdef FULL_FOR_ALL
  :: listening && len(queue) >= BACKLOG -> answer(AGAIN, n)
#else
  :: listening && !isEarly && len(queue) >= BACKLOG -> answer(AGAIN, n)
#endif
  :: else ->
    queue!n, isEarly; waits[n] = true;
    assert(!isEarly || (waits[n - n % TRIES] && early[n - n % TRIES]) + (waits[n - n % TRIES + 1] && early[n - n % TRIES + 1]) <= BACKLOG)
  fi
}

inline take(c) {
  if
  :: toServer[c]?CONNECT, n -> enqueue(n, false)
  :: toServer[c]?EARLY, n -> enqueue(n, true)
  /* = onCancel */
  :: toServer[c]?CANCEL, n ->
    if :: queue??[eval(n), false] -> queue??eval(n), false :: queue??[eval(n), true] -> queue??eval(n), true :: else fi;
    waits[n] = false
  /* = onEarlyData, onData, onEarlyEnd, onFin: for the request, or the socket that it has by now */
  :: toServer[c]?DATA, n -> assert(waits[n] || accepted[n] || refused[n]); got[n] = true
  :: toServer[c]?FIN, n -> assert(waits[n] || accepted[n] || refused[n]); assert(got[n] == sent[n]); ended[n] = true
  fi;
  n = 0
}

/* = peerGone (src/engine/deaths.ts): who waits for an accept is forgotten, who was told is not */
inline lose(c) {
  known[c] = true; n = NAME(c, 0);
  do
  :: n < NAME(c, 0) + TRIES ->
    if
    :: queue??[eval(n), false] -> queue??eval(n), false; waits[n] = false
#ifdef DROP_DEAD
    :: queue??[eval(n), true] -> queue??eval(n), true; waits[n] = false
#endif
    :: else
    fi;
    n++
  :: else -> break
  od;
  n = 0
}

proctype Server() {
  byte n;
  bool flag;
end:
  do
  :: dead[SERVER] -> break
  :: atomic { !dead[SERVER] && nempty(toServer[0]) && nfull(toClient[0]) -> take(0) }
  :: atomic { !dead[SERVER] && nempty(toServer[1]) && nfull(toClient[1]) -> take(1) }
  /* = accept, begin, takeOver */
  :: atomic { !dead[SERVER] && nempty(queue) && nfull(toClient[0]) && nfull(toClient[1]) ->
      queue?n, flag; waits[n] = false; accepted[n] = true; answer(ACCEPT, n); n = 0; flag = false
    }
  /* = stopListening */
  :: atomic { !dead[SERVER] && listening && len(toClient[0]) <= 2 && len(toClient[1]) <= 2 ->
      listening = false;
      do
      :: nempty(queue) -> queue?n, flag; waits[n] = false; refused[n] = true; answer(REFUSE, n)
      :: empty(queue) -> break
      od;
      n = 0; flag = false
    }
  :: atomic { !dead[SERVER] && dead[0] && empty(toServer[0]) && !known[0] -> lose(0) }
  :: atomic { !dead[SERVER] && dead[1] && empty(toServer[1]) && !known[1] -> lose(1) }
  :: atomic { !dead[SERVER] && deaths < DEATHS -> deaths++; dead[SERVER] = true }
  od
}

#define IDLE(n) (dead[OWNER(n)] || phase[n] != PLACED && phase[n] != ASKING && phase[n] != WAITING)
#define KEPT(n) (dead[SERVER] || !told[n] || refused[n] || accepted[n] && got[n] == sent[n] && ended[n] == closed[n])

/* Nothing can happen any more. */
proctype Judge() {
  timeout ->
    assert(IDLE(0) && IDLE(1) && IDLE(2) && IDLE(3));
    assert(KEPT(0) && KEPT(1) && KEPT(2) && KEPT(3))
}

init { atomic { run Client(0); run Client(1); run Server(); run Judge() } }
