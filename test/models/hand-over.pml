/*
 * The hand-over: G gives its end of a connection to T while O, the other end, goes on; with BOTH, O gives its end to U
 * at the same time.
 *
 * Stands for src/engine/hand-over*.ts, send.ts, receive.ts, finish.ts, peer.ts, deaths.ts, engine.ts. `=` names
 * the function that a line stands for. Each process handles one event (a record, a call of its program, room in a log,
 * a death noticed) at a time, and each of these is one step. Logs keep order and are read to their end after the death
 * of the writer; ROOM records fit, control records that find no room wait in the writer and die with it, bytes that
 * find none stay where they are. A process may die between any two events, and between any two records of one. Bytes
 * are their own numbers, so that one that is lost, doubled or out of order shows where it arrives, and again where a
 * program reads it. docs/models.md has the table. Left out: reading shut down, linger times, links that can't be made
 * for the moment, and what damage would do.
 *
 * Properties: see the assertions; at the end, when nothing can happen any more (timeout), every socket in a living
 * process is closed, and without harm (a death of a process that held an end, an expiry, a close before the end) every
 * byte has been read. With harm both ends come to an end all the same.
 */
#ifdef BOTH
#define PROCESSES 4
#else
#define PROCESSES 3
#endif
#ifndef BYTES
#define BYTES 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef ROOM
#define ROOM 2
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
/* What a log and the queue before it may hold in all: an assertion fails where it is not enough. */
#define LONGEST 9

#define G 0
#define O 1
#define T 2
#define U 3
#define NONE 7
/* G and T are one side of the connection, O and U the other. */
#define SIDE(p) ((p) & 1)
#define LOG(a, b) ((a) * PROCESSES + (b))

mtype = {
  DATA, CREDIT, FIN, FIN_ACK, RESET, GONE, FREEZE, FROZEN, THAW, TAKE, REFUSE, STATE, RECEIVED, UNSENT, READY, MOVE, ATTACH, CLAIM
};

/* State of a socket: RESETTED is one whose program has still to close it. */
#define FREE 0
#define LIVE 1
#define RESETTED 2
#define TAKING 3
/* Role and phase of a hand-over. */
#define NO_HAND 0
#define OFFERED 1
#define WAITING 2
#define FREEZING 3
#define SENDING 4
#define SENT 5
#define MOVING 6
#define ASKING 7
#define FILLING 8
#define BE_READY 9
#define GIVER(p) (s[p].hand >= OFFERED && s[p].hand <= MOVING)
#define TAKER(p) (s[p].hand >= ASKING)

/* = EngineSocket, Giver, Taker. Generations are left out: a process has one socket of the connection. */
typedef Socket {
  unsigned state : 2, peer : 3, hand : 4, with : 3, claimant : 3, round : 2, frozenRound : 2;
  unsigned sent : 3, sendLimit : 4, received : 3, receiveLimit : 4, queued : 3, unsent : 3, sending : 2, toCome : 3;
  bit finWanted, finSent, finAcked, finReceived, orphaned, discarded, owesCredit, peerGone, frozen, resetWhenThawed, gave, mayTake, handFinWanted, toldTaken
};
Socket s[PROCESSES];

chan log[PROCESSES * PROCESSES] = [LONGEST] of { mtype, byte, byte };
/* Records in the log; records that wait for room in it. */
byte logged[PROCESSES * PROCESSES], waiting[PROCESSES * PROCESSES];
/* LOG(a, b): a's socket waits for room in it; a knows that b is dead. */
bool blocked[PROCESSES * PROCESSES], knows[PROCESSES * PROCESSES];
bool dead[PROCESSES];
byte deaths, written[2], consumed[2];
bool harm;
/* The counts in a STATE, by the side that is handed over. */
typedef Counts {
  unsigned sent : 3, sendLimit : 4, received : 3, receiveLimit : 4;
};
Counts told[2];

/* Of one step: what is chosen before it, and zero after it; then what only lives in a d_step, which need not be kept. */
byte event, from, fuse;
bool sees, burning;
hidden byte a, b, n, to, way;
hidden mtype type;
hidden byte room, toRollBack, toThaw, toAbort, tellPeer, toFail, toFreeze, toStart, toHandPump, toCommit, toEstablish, toPump, toFinish, toRelease, toTell, toCredit;

#define LOOKUP (s[me].state != FREE && s[me].state != RESETTED && s[me].peer == from)
#define HELD (s[me].frozen || TAKER(me) || s[me].hand > OFFERED)
#define THROUGH(q) (waiting[LOG(me, q)] == 0 && logged[LOG(me, q)] < ROOM)

/* = Peer.control: into the log, or into the queue before it. `fuse` records after the first of a step may still go out before death. */
inline control(target, ty, x, y) {
  to = target;
  if
  :: to == NONE || burning -> skip
  :: else ->
    way = LOG(me, to);
    if
    :: knows[way] -> skip
    :: else ->
      if
      :: fuse == 1 -> burning = true
      :: else ->
        if :: fuse > 1 -> fuse-- :: else fi;
        if
        :: waiting[way] == 0 && logged[way] < ROOM -> logged[way]++
        :: else -> waiting[way]++
        fi;
        assert(logged[way] + waiting[way] < LONGEST);
        if :: !dead[to] -> log[way]!ty, x, y :: else fi
      fi
    fi
  fi
}

/* = Engine.tell */
inline tell(ty, x, y) { control(s[me].peer, ty, x, y) }

/* = Peer.controlNow and Peer.data: into the log or nowhere; `room` tells. A peer that is known to be gone takes all or nothing. */
inline append(target, ty, x, y, whenGone) {
  to = target;
  if
  :: burning -> room = true
  :: else ->
    way = LOG(me, to);
    if
    :: knows[way] -> room = whenGone
    :: !knows[way] && fuse == 1 && THROUGH(to) -> burning = true; room = true
    :: !knows[way] && !(fuse == 1 && THROUGH(to)) ->
      room = THROUGH(to);
      if
      :: room ->
        if :: fuse > 1 -> fuse-- :: else fi;
        logged[way]++;
        if :: !dead[to] -> log[way]!ty, x, y :: else fi
      :: else -> blocked[way] = true
      fi
    fi
  fi
}

/* = Engine.answerClaim */
inline answerClaim() {
  if
  :: s[me].claimant != NONE -> control(s[me].claimant, GONE, CLAIM, 0); s[me].claimant = NONE
  :: else
  fi
}

inline clear(who) {
  s[who].state = FREE; s[who].peer = NONE; s[who].hand = NO_HAND; s[who].with = NONE; s[who].claimant = NONE; s[who].round = 0; s[who].frozenRound = 0;
  s[who].sent = 0; s[who].sendLimit = 0; s[who].received = 0; s[who].receiveLimit = 0; s[who].queued = 0; s[who].unsent = 0; s[who].sending = 0; s[who].toCome = 0;
  s[who].finWanted = 0; s[who].finSent = 0; s[who].finAcked = 0; s[who].finReceived = 0; s[who].orphaned = 0; s[who].discarded = 0; s[who].owesCredit = 0;
  s[who].peerGone = 0; s[who].frozen = 0; s[who].resetWhenThawed = 0; s[who].handFinWanted = 0; s[who].toldTaken = 0; s[who].gave = 0; s[who].mayTake = 0;
  for (n : 0 .. PROCESSES - 1) { blocked[LOG(who, n)] = false }
}

/* = giveCredit */
inline giveCredit() {
  s[me].owesCredit = 0;
  n = s[me].received - s[me].queued + WINDOW;
  if
  :: s[me].finReceived || n <= s[me].receiveLimit || s[me].peer == NONE -> skip
  :: else ->
    if
    :: HELD -> s[me].owesCredit = 1
    :: else ->
      append(s[me].peer, CREDIT, n, 0, false);
      if :: room -> s[me].receiveLimit = n :: else -> s[me].owesCredit = 1 fi
    fi
  fi
}

/* = onFreeze, onClaim, onData and others, by type of record */
inline receive() {
  if
  :: type == DATA ->
    if
    :: LOOKUP ->
      assert(s[me].received < s[me].receiveLimit && !s[me].finReceived);
      assert(a == s[me].received);
      s[me].received++;
      if
      :: s[me].orphaned && s[me].hand == NO_HAND -> s[me].discarded = 1; toCredit = true
      :: else -> s[me].queued++
      fi
    :: else -> control(from, GONE, DATA, 0)
    fi
  :: type == CREDIT ->
    if
    :: LOOKUP && a > s[me].sendLimit -> s[me].sendLimit = a; toPump = true
    :: else
    fi
  :: type == FIN ->
    if
    :: LOOKUP ->
      assert(a == s[me].received);
      s[me].finReceived = 1;
      if
      :: !s[me].discarded -> tell(FIN_ACK, 0, 0)
      :: s[me].discarded && s[me].finSent -> tell(RESET, 0, 0)
      :: else
      fi
    :: else -> control(from, GONE, FIN, 0)
    fi
  :: type == FIN_ACK ->
    if
    :: LOOKUP && s[me].finSent -> s[me].finAcked = 1; toFinish = true
    :: else
    fi
  :: type == RESET -> toAbort = LOOKUP
  :: type == GONE ->
    if
    /* = onClaimAnswered: the giver has let go, or the other end was not given to us. */
    :: a == CLAIM ->
      if
      :: s[me].hand == BE_READY && s[me].with == from && s[me].peer == NONE -> toEstablish = true
      :: s[me].hand == BE_READY && s[me].peer == from -> toAbort = true
#ifdef RESET_FOR_CLAIM
      :: s[me].state == LIVE && s[me].peer == from -> toAbort = true
#endif
      :: else
      fi
    :: a != CLAIM && s[me].state != FREE && s[me].peer == from ->
      if
      :: a == FIN -> s[me].finAcked = s[me].finSent; toFinish = s[me].finSent
      /* = otherEndGone */
      :: a == FREEZE ->
        if
        :: s[me].hand == FREEZING ->
          s[me].peerGone = 1;
          if :: s[me].unsent > 0 -> toAbort = true :: else -> toStart = true fi
        :: else
        fi
      :: else -> toAbort = true
      fi
    :: else
    fi
  /* = onFreeze */
  :: type == FREEZE ->
    if
    :: LOOKUP ->
      if
#ifdef BOTH_GO_FIRST
      :: false
#else
      :: GIVER(me) && s[me].hand > WAITING && me == G -> skip
#endif
      :: else ->
        if :: GIVER(me) && s[me].hand > WAITING -> s[me].hand = WAITING :: else fi;
        s[me].frozen = 1; s[me].frozenRound = a;
#ifdef NO_FREEZE
        s[me].frozen = 0;
#endif
        tell(FROZEN, a, s[me].sent)
      fi
    :: else -> control(from, GONE, FREEZE, 0)
    fi
  /* = onFrozen */
  :: type == FROZEN ->
    if
    :: LOOKUP && s[me].hand == FREEZING && a == s[me].round -> assert(b == s[me].received); toStart = true
    :: else
    fi
  /* = onThaw */
  :: type == THAW ->
    if
    :: LOOKUP && s[me].frozen -> assert(a == s[me].frozenRound); toThaw = true
    :: else
    fi
  /* = onTake */
  :: type == TAKE ->
    if
    :: s[me].state == LIVE && s[me].hand == OFFERED -> s[me].with = from; s[me].hand = WAITING; toFreeze = true
    :: else -> control(from, REFUSE, 0, 0)
    fi
  /* = onTakeRefuse */
  :: type == REFUSE ->
    if
    :: TAKER(me) && s[me].with == from -> toFail = true
    :: GIVER(me) && s[me].with == from -> toRollBack = true
    :: else
    fi
  /* = onState */
  :: type == STATE ->
    if
    :: s[me].hand == ASKING && s[me].with == from ->
      /* = Engine.peer: undefined where the other end's process is gone */
      n = a & 7;
      if
      :: n == NONE -> s[me].peerGone = 1
      :: else ->
        if :: sees && dead[n] && logged[LOG(n, me)] == 0 -> knows[LOG(me, n)] = true :: else fi;
        s[me].peerGone = knows[LOG(me, n)]
      fi;
      s[me].finSent = (a >> 3) & 1; s[me].finAcked = (a >> 4) & 1; s[me].finReceived = (a >> 5) & 1; s[me].handFinWanted = (a >> 6) & 1;
      if
      :: s[me].peerGone && n != NONE && !s[me].finReceived -> control(from, REFUSE, 0, 0); toFail = true
      :: else ->
        if :: !s[me].peerGone -> s[me].peer = n :: else fi;
        s[me].hand = FILLING;
        s[me].sent = told[SIDE(me)].sent; s[me].sendLimit = told[SIDE(me)].sendLimit;
        s[me].received = told[SIDE(me)].received; s[me].receiveLimit = told[SIDE(me)].receiveLimit;
        s[me].toCome = b
      fi
    :: else
    fi
  :: type == RECEIVED && s[me].hand == FILLING && s[me].with == from -> s[me].queued = a; s[me].toCome--
  :: type == UNSENT && s[me].hand == FILLING && s[me].with == from -> s[me].unsent = a; s[me].toCome--
  :: (type == RECEIVED || type == UNSENT) && !(s[me].hand == FILLING && s[me].with == from) -> skip
  /* = onReady */
  :: type == READY ->
    if
    :: s[me].hand == SENT && s[me].with == from -> toCommit = true
    :: else -> control(from, REFUSE, 0, 0)
    fi
  /* = onMove, moveTo */
  :: type == MOVE ->
    if :: sees && dead[a] && logged[LOG(a, me)] == 0 -> knows[LOG(me, a)] = true :: else fi;
    if
    :: LOOKUP && s[me].frozen ->
      if
      :: knows[LOG(me, a)] -> s[me].frozen = 0; toAbort = true
      /* = attach */
      :: else ->
        s[me].claimant = NONE; s[me].peer = a;
        if :: !s[me].resetWhenThawed -> tell(ATTACH, s[me].sent, 0) :: else fi;
        toThaw = true
      fi
    :: else -> control(a, RESET, 0, 0)
    fi
  /* = onAttach */
  :: type == ATTACH ->
    if
    :: LOOKUP && s[me].hand == BE_READY -> assert(a == s[me].received); toEstablish = true
    :: else -> control(from, GONE, ATTACH, 0)
    fi
  /* = onClaim */
  :: type == CLAIM ->
    if
    :: s[me].state != FREE && s[me].peer == from -> skip
    /* The taker knows that nobody is left to be moved. */
    :: s[me].hand == MOVING && s[me].with == from -> s[me].peerGone = 1; toCommit = true; control(from, GONE, CLAIM, 0)
    :: else ->
      if
      :: s[me].state != FREE && s[me].frozen -> s[me].claimant = from
      :: else -> control(from, GONE, CLAIM, 0)
      fi
    fi
  fi
}

/* = claimFromGiver: who has the bytes of an other end that is gone is the giver's to say; without the giver they are ours. */
inline claimFromGiver() {
#ifdef ESTABLISH_ALONE
  toEstablish = true
#else
  if
  :: knows[LOG(me, s[me].with)] -> toEstablish = true
  :: else -> control(s[me].with, CLAIM, 0, 0)
  fi
#endif
}

/* = peerGone: `from` is dead, and all that it sent has been received. */
inline processGone() {
  knows[LOG(me, from)] = true;
  waiting[LOG(me, from)] = 0; logged[LOG(me, from)] = 0; blocked[LOG(me, from)] = false;
  /* = handProcessGone */
  if
  :: GIVER(me) && s[me].with == from -> toRollBack = true
  :: TAKER(me) && s[me].with == from ->
    if
    :: s[me].hand != BE_READY -> toFail = true
    :: s[me].hand == BE_READY && s[me].peer == NONE -> toEstablish = true
    :: else ->
#ifdef NO_CLAIM
      skip
#else
      tell(CLAIM, 0, 0)
#endif
    fi
  :: else
  fi;
  /* = lost */
  if
  :: s[me].state != FREE && s[me].state != RESETTED && s[me].peer == from && !toFail ->
    if
    :: !s[me].finReceived || (s[me].orphaned && s[me].hand == NO_HAND) || s[me].resetWhenThawed -> toAbort = true
    :: else ->
      answerClaim();
      s[me].frozen = 0; s[me].peerGone = 1; s[me].peer = NONE; s[me].unsent = 0;
      /* = handPeerGone */
      if
      :: s[me].hand == WAITING || s[me].hand == FREEZING -> toFreeze = true
      :: s[me].hand == MOVING -> toCommit = true
      :: s[me].hand == BE_READY -> claimFromGiver()
      :: else -> toPump = true
      fi
    fi
  :: else
  fi
}

/* = Engine.abort */
inline abort() {
  if
  :: tellPeer && s[me].frozen -> s[me].resetWhenThawed = 1
  :: else ->
    assert(harm);
    if :: tellPeer -> tell(RESET, 0, 0) :: else fi;
    s[me].unsent = 0; s[me].frozen = 0; s[me].resetWhenThawed = 0;
    answerClaim();
    /* = handAborted */
    if
    :: TAKER(me) -> control(s[me].with, REFUSE, 0, 0); toFail = true
    :: else ->
      if
      :: GIVER(me) ->
        if :: s[me].with != NONE -> control(s[me].with, REFUSE, 0, 0) :: else fi;
        thawPeer(); s[me].hand = NO_HAND; s[me].with = NONE
      :: else
      fi;
      s[me].state = RESETTED;
      toRelease = s[me].orphaned
    fi
  fi
}

/* = thawPeer */
inline thawPeer() {
#ifdef NO_THAW
  skip
#else
  if
  :: s[me].hand <= WAITING || s[me].peerGone -> skip
  :: else -> tell(THAW, s[me].round, 0)
  fi
#endif
}

/* = handPump and pushBytes: RECEIVED and UNSENT are one record each. The number of them goes with STATE. */
inline handPump() {
  if
  :: s[me].sending == 0 ->
#ifdef NO_UNSENT
    s[me].unsent = 0;
#endif
    n = (s[me].queued > 0) + (s[me].unsent > 0);
    control(s[me].with, STATE, (s[me].peerGone -> NONE : s[me].peer) + 8 * s[me].finSent + 16 * s[me].finAcked + 32 * s[me].finReceived + 64 * s[me].finWanted, n);
    told[SIDE(me)].sent = s[me].sent; told[SIDE(me)].sendLimit = s[me].sendLimit;
    told[SIDE(me)].received = s[me].received; told[SIDE(me)].receiveLimit = s[me].receiveLimit;
    s[me].sending = 1
  :: else
  fi;
  if
  :: s[me].sending == 1 ->
    room = true;
    if :: s[me].queued > 0 -> append(s[me].with, RECEIVED, s[me].queued, 0, false) :: else fi;
    if :: room -> s[me].sending = 2 :: else fi
  :: else
  fi;
  if
  :: s[me].sending == 2 ->
    room = true;
    if :: s[me].unsent > 0 -> append(s[me].with, UNSENT, s[me].unsent, 0, false) :: else fi;
    if :: room -> s[me].sending = 0; s[me].hand = SENT :: else fi
  :: else
  fi
}

/* = commit: the program is told, and may end its process, only when MOVE is in the log. */
inline commit() {
  room = true;
  if
  :: !s[me].peerGone && s[me].peer != NONE ->
#ifdef TAKEN_BEFORE_MOVE
    tell(MOVE, s[me].with, 0)
#else
    append(s[me].peer, MOVE, s[me].with, 0, true)
#endif
  :: else
  fi;
  if
  /* A taker may die after it was ready: it had the connection, or would have. */
  :: room -> toRelease = true; toTell = true; harm = harm || dead[s[me].with]
  :: else -> s[me].hand = MOVING
  fi
}

/* = establish: the taker has the connection. */
inline establish() {
  assert(dead[s[me].with] || s[s[me].with].state == FREE);
  s[me].hand = NO_HAND; s[me].with = NONE; s[me].state = LIVE;
  if :: s[me].peerGone -> s[me].unsent = 0 :: else fi;
  s[me].finWanted = s[me].handFinWanted || s[me].finSent; s[me].handFinWanted = 0;
#ifndef NO_CREDIT_AFTER_TAKE
  s[me].owesCredit = 1;
#endif
  toPump = true
}

/* = pump, push, sendFin */
inline pump() {
  if
  :: s[me].peer == NONE || HELD || s[me].state != LIVE -> skip
  :: else ->
    room = true;
    do
    :: s[me].unsent > 0 && s[me].sent < s[me].sendLimit && room ->
      append(s[me].peer, DATA, s[me].sent, 0, false);
      if :: room -> s[me].sent++; s[me].unsent-- :: else fi
    :: else -> break
    od;
    if
    :: s[me].unsent == 0 && s[me].finWanted && !s[me].finSent ->
      s[me].finSent = 1;
      tell(FIN, s[me].sent, 0);
      if :: s[me].discarded && s[me].finReceived -> tell(RESET, 0, 0) :: else fi
    :: else
    fi;
    if :: s[me].owesCredit -> giveCredit() :: else fi
  fi
}

/* = finish, leaveOpenEnd */
inline finish() {
  if
  :: !s[me].finReceived && s[me].discarded -> tell(RESET, 0, 0)
  :: !s[me].finReceived && !s[me].discarded && s[me].received >= s[me].receiveLimit -> tell(CREDIT, s[me].received + WINDOW, 0)
  :: else
  fi;
  toRelease = true
}

/* What follows from an event, in the order in which the code does it. */
inline settle() {
  do
  /* = rollBack */
  :: toRollBack ->
    toRollBack = false;
    assert(s[s[me].with].state != LIVE);
    thawPeer(); s[me].hand = NO_HAND; s[me].with = NONE; s[me].sending = 0;
    if
    :: s[me].orphaned -> toAbort = true; tellPeer = true
    :: else -> toPump = true
    fi
  /* = thawed */
  :: !toRollBack && toThaw ->
    toThaw = false; s[me].frozen = 0;
    answerClaim();
    if
    :: s[me].resetWhenThawed -> s[me].resetWhenThawed = 0; toAbort = true; tellPeer = true
    :: else ->
      toFreeze = (s[me].hand == WAITING); toPump = true; toFinish = true
    fi
  :: !toRollBack && !toThaw && toAbort ->
    toAbort = false;
    if :: s[me].state == LIVE || s[me].state == TAKING -> abort() :: else fi;
    tellPeer = false
  /* = freeze */
  :: !toRollBack && !toThaw && !toAbort && toFreeze ->
    toFreeze = false;
    if
    :: s[me].state == LIVE && GIVER(me) ->
      s[me].hand = WAITING;
      if
      :: s[me].frozen -> skip
      :: else ->
        s[me].round++; s[me].hand = FREEZING;
        if
        :: s[me].peerGone || s[me].peer == NONE -> toStart = true
        :: else -> tell(FREEZE, s[me].round, 0)
        fi
      fi
    :: else
    fi
  /* = startSending */
  :: !toRollBack && !toThaw && !toAbort && !toFreeze && toStart ->
    toStart = false;
    if :: s[me].hand == FREEZING -> s[me].hand = SENDING; s[me].sending = 0; handPump() :: else fi
  :: !toRollBack && !toThaw && !toAbort && !toFreeze && !toStart -> break
  od;
  if :: toHandPump && s[me].hand == SENDING -> handPump() :: else fi;
  if :: toCommit && (s[me].hand == SENT || s[me].hand == MOVING) -> commit() :: else fi;
  /* = filled */
  if
  :: s[me].hand == FILLING && s[me].toCome == 0 && !toFail ->
    s[me].hand = BE_READY;
    control(s[me].with, READY, 0, 0);
    if :: s[me].peerGone -> claimFromGiver() :: else fi
  :: else
  fi;
  if :: toEstablish && s[me].hand == BE_READY && !toFail -> establish() :: else fi;
  if :: toPump -> pump() :: else fi;
  if
  :: (toFinish || toPump) && s[me].state == LIVE && s[me].finSent && s[me].finAcked && s[me].orphaned && s[me].hand == NO_HAND && !s[me].frozen -> finish()
  :: else
  fi;
  /* = release, failTake */
  if
  :: toRelease || toFail ->
    answerClaim();
    if :: !burning -> clear(me); s[me].toldTaken = toTell :: else fi
  :: else
  fi
}

/* = roomMade */
inline roomMade() {
  do
  :: waiting[LOG(me, from)] > 0 && logged[LOG(me, from)] < ROOM -> waiting[LOG(me, from)]--; logged[LOG(me, from)]++
  :: else -> break
  od;
  if
  :: THROUGH(from) && blocked[LOG(me, from)] ->
    blocked[LOG(me, from)] = false;
    toHandPump = true; toCommit = (s[me].hand == MOVING); toPump = true
  :: else
  fi
}

/* The beginning of a d_step. */
inline begin() {
  room = false; toRollBack = false; toThaw = false; toAbort = false; tellPeer = false; toFail = false; toFreeze = false; toStart = false;
  toHandPump = false; toCommit = false; toEstablish = false; toPump = false; toFinish = false; toRelease = false; toTell = false; toCredit = false
}

/* The process may die in the step: `fuse` - 1 of its records go out. */
inline fate() {
  if
  :: fuse = 0
  :: deaths < DEATHS -> fuse = 2
  :: deaths < DEATHS -> fuse = 3
  fi;
  if :: sees = false :: deaths > 0 -> sees = true fi
}

inline die() {
  d_step {
    deaths++; dead[me] = true;
    /* It held an end of the connection, or one had been given to it for good. */
    harm = harm || s[me].state == LIVE || s[me].state == RESETTED || s[me].state == TAKING && (dead[s[me].with] || s[s[me].with].state == FREE);
    for (from : 0 .. PROCESSES - 1) {
      if
      :: from != me ->
        /* What it had still to say dies with it; but a giver that was told of the taking has nothing more to say. */
        harm = harm || waiting[LOG(me, from)] > 0 && !s[me].toldTaken;
        waiting[LOG(me, from)] = 0;
        do
        :: len(log[LOG(from, me)]) > 0 -> log[LOG(from, me)]?type, a, b
        :: else -> break
        od;
        knows[LOG(me, from)] = false
      :: else
      fi
    }
    clear(me); from = 0; burning = false
  }
}

#define OWNS (s[me].state == LIVE && s[me].hand == NO_HAND && !s[me].orphaned)
#define READS(q) (!dead[me] && me != q && logged[LOG(q, me)] > 0)
#define LEARNS(q) (!dead[me] && me != q && dead[q] && logged[LOG(q, me)] == 0 && !knows[LOG(me, q)])
#define HAS_ROOM(q) (!dead[me] && me != q && !knows[LOG(me, q)] && logged[LOG(me, q)] < ROOM && \
  (waiting[LOG(me, q)] > 0 || blocked[LOG(me, q)]))
#define AT_END (s[me].finWanted && s[me].finReceived && s[me].queued == 0)

/* What happens next: a record comes, there is room in a log, a death is noticed, or the program calls. */
#define RECORD 1
#define ROOM_MADE 2
#define DEATH 3
#define SEND 4
#define RECV 5
#define SHUTDOWN 6
#define CLOSE 7
#define CLOSE_EARLY 8
#define CLOSE_GIVEN 9
#define CLOSE_RESET 10
#define EXPIRE 11
#define TAKE_IT 12

inline happen() {
  if
  :: event == RECORD -> log[LOG(from, me)]?type, a, b; logged[LOG(from, me)]--; receive()
  :: event == ROOM_MADE -> roomMade()
  :: event == DEATH -> processGone()
  /* STPsend */
  :: event == SEND ->
    assert(s[me].sent + s[me].unsent == written[SIDE(me)] || s[me].peerGone);
    written[SIDE(me)]++;
    if :: !s[me].peerGone -> s[me].unsent++ :: else fi;
    toPump = true
  /* STPrecv */
  :: event == RECV ->
    assert(s[me].received - s[me].queued == consumed[1 - SIDE(me)]);
    consumed[1 - SIDE(me)]++; s[me].queued--;
    toCredit = true
  /* STPshutdown */
  :: event == SHUTDOWN -> s[me].finWanted = 1; toPump = true
  /* STPclose */
  :: event == CLOSE -> s[me].orphaned = 1; toRelease = s[me].peerGone; toFinish = true
  :: event == CLOSE_EARLY ->
    harm = true;
    if
    :: s[me].peerGone -> toRelease = true
    :: !s[me].peerGone && s[me].queued > 0 && !s[me].frozen -> tell(RESET, 0, 0); toRelease = true
    :: else ->
      s[me].resetWhenThawed = (s[me].queued > 0); s[me].queued = 0; s[me].orphaned = 1;
      s[me].finWanted = (s[me].resetWhenThawed -> s[me].finWanted : 1);
      toPump = !s[me].resetWhenThawed; toFinish = toPump
    fi
  /* = closeGiven */
  :: event == CLOSE_GIVEN ->
    harm = true;
    if
    :: s[me].hand > OFFERED -> s[me].orphaned = 1
    :: else -> tell(RESET, 0, 0); toRelease = true
    fi
  :: event == CLOSE_RESET -> toRelease = true
  /* the give runs out */
  :: event == EXPIRE -> harm = true; s[me].hand = NO_HAND; toAbort = true; tellPeer = true
  /* = take */
  :: event == TAKE_IT ->
    s[me].mayTake = 0;
    if
    :: knows[LOG(me, me - 2)] -> skip
    :: else ->
      s[me].state = TAKING; s[me].hand = ASKING; s[me].with = me - 2;
      control(me - 2, TAKE, 0, 0)
    fi
  fi;
  if :: toCredit -> giveCredit() :: else fi
}

proctype Process(byte me) {
end:
  do
  :: dead[me] -> break
  :: atomic {
      if
      :: READS(0) -> from = 0; event = RECORD
      :: READS(1) -> from = 1; event = RECORD
      :: READS(2) -> from = 2; event = RECORD
      :: HAS_ROOM(0) -> from = 0; event = ROOM_MADE
      :: HAS_ROOM(1) -> from = 1; event = ROOM_MADE
      :: HAS_ROOM(2) -> from = 2; event = ROOM_MADE
      :: LEARNS(0) -> from = 0; event = DEATH
      :: LEARNS(1) -> from = 1; event = DEATH
      :: LEARNS(2) -> from = 2; event = DEATH
#ifdef BOTH
      :: READS(3) -> from = 3; event = RECORD
      :: HAS_ROOM(3) -> from = 3; event = ROOM_MADE
      :: LEARNS(3) -> from = 3; event = DEATH
#endif
      :: OWNS && !s[me].finWanted && written[SIDE(me)] < BYTES -> event = SEND
      :: OWNS && s[me].queued > 0 -> event = RECV
      :: OWNS && !s[me].finWanted && written[SIDE(me)] == BYTES -> event = SHUTDOWN
      :: OWNS && AT_END -> event = CLOSE
#ifdef CLOSES
      :: OWNS && !AT_END && SIDE(me) == SIDE(CLOSES) -> event = CLOSE_EARLY
      :: s[me].state == LIVE && GIVER(me) && !s[me].orphaned && SIDE(me) == SIDE(CLOSES) -> event = CLOSE_GIVEN
#endif
      :: s[me].state == RESETTED && !s[me].orphaned -> event = CLOSE_RESET
      :: s[me].state == LIVE && s[me].hand == OFFERED && !s[me].orphaned -> event = EXPIRE
      :: s[me].state == FREE && s[me].mayTake -> event = TAKE_IT
      fi;
      if
      :: event == RECORD || event == DEATH -> fate()
      :: else
      fi;
      d_step { begin(); happen() };
      d_step { settle(); from = 0; fuse = 0; sees = 0; event = 0 };
      if :: burning -> die() :: else fi
    }
  /* = give; the token goes to the taker by some way */
  :: atomic { !dead[me] && OWNS && s[me].gave == 0 && me < PROCESSES - 2 -> s[me].gave = 1; s[me].hand = OFFERED; s[me + 2].mayTake = !dead[me + 2] }
  :: atomic { !dead[me] && deaths < DEATHS -> die() }
  od
}

#define CLOSED(p) (dead[p] || s[p].state == FREE)

/* Nothing can happen any more. */
proctype Judge() {
  timeout ->
    assert(CLOSED(G) && CLOSED(O) && CLOSED(T));
#ifdef BOTH
    assert(CLOSED(U));
#endif
    assert(harm || consumed[0] == BYTES && consumed[1] == BYTES)
}

init {
  d_step {
    for (n : 0 .. PROCESSES - 1) { s[n].peer = NONE; s[n].with = NONE; s[n].claimant = NONE }
    s[G].state = LIVE; s[O].state = LIVE; s[G].peer = O; s[O].peer = G;
    s[G].sendLimit = WINDOW; s[G].receiveLimit = WINDOW; s[O].sendLimit = WINDOW; s[O].receiveLimit = WINDOW;
    n = 0
  };
  atomic {
    run Process(G); run Process(O); run Process(T);
#ifdef BOTH
    run Process(U);
#endif
    run Judge()
  }
}
