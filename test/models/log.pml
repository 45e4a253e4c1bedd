/*
 * The log in mapped memory, with sleeping and waking: one writer W, one reader R, each with its event loop and its
 * poller.
 *
 * Stands for src/storage/ring-log.ts, src/link/link.ts, src/link/publisher.ts, src/link/record-writer.ts,
 * src/link/poller.ts and src/link/bell.ts. `=` names the function that a line stands for. Memory: the words (HEAD,
 * LAP_END, READ, ASLEEP_*) are read and written by Atomics, which are sequentially consistent, so each access is a
 * step of its own and steps interleave. Records are plain stores before HEAD's. A bell is a FIFO: a byte in it stays
 * until it is read, more bytes say no more. Left out: what only makes things later (spinning, several turns in one go)
 * and the watch timer: no wake-up may need it.
 *
 * Properties: R takes in each record once, in order and whole (assert), nobody is left asleep with work to do (invalid
 * end states), and the two do not wake each other without end (progress). Positions count modulo 16 and begin at 14, so
 * that they wrap as 32 bits do.
 */
#define CAPACITY 4
#define MODULUS 16
/*
 * Room that is told of, see Link.hasSpace: twice the largest record, or what waits might not fit where a lap ends, and
 * W would look again without end.
 */
#ifdef ROOM_TOO_SMALL
#define HAS_ROOM 2
#else
#define HAS_ROOM 3
#endif
#ifndef RECORDS
#define RECORDS 5
#endif

#define MINUS(a, b) (((a) + MODULUS - (b)) % MODULUS)
#define PLUS(a, b) (((a) + (b)) % MODULUS)

#define SLEEPS 1
#define WANTS_ROOM 2
#define WORD(count, wants) ((count) * 4 + (wants) * WANTS_ROOM)
/* Only whether a word is the one that was rung last matters: two numbers stand for the 2^30 that count sleeps. */
#define FRESH(rung) ((rung) / 4 == 1 -> 2 : 1)

/* What lies in the two files. */
byte HEAD = 14, LAP_END, READ = 14, ASLEEP_W, ASLEEP_R;
byte recordId[CAPACITY], recordSize[CAPACITY];
bool bellW, bellR;

/* Of W alone: RingWriter, Link, Poller and the program. */
byte head = 14, tail = 14, at, claimed, rungByW, seenByW, next;
bool dirty, ringing, publishedThisTurn, needsRoom, blocked, asleepW;
/* Of R alone. */
byte position = 14, rungByR, seenByR, got;
bool asleepR, answering;

hidden byte room, rest;

/* = RingWriter.claim: sets `at` and `claimed`; granted or not. */
inline claim(size, granted) {
  d_step {
#ifdef NO_FREE_CHECK
    room = CAPACITY;
#else
    room = CAPACITY - MINUS(head, tail);
#endif
    rest = CAPACITY - head % CAPACITY;
    if
    :: room >= size && rest >= size -> at = head % CAPACITY; claimed = head; granted = true
    :: !(room >= size && rest >= size) && room >= rest + size -> at = 0; claimed = PLUS(head, rest); granted = true
    :: else -> granted = false
    fi
  }
}

/* = Publisher.refreshRoom, RingReader.peerRead, RingWriter.released */
inline refreshRoom() {
  d_step { assert(MINUS(READ, tail) <= MINUS(head, tail)); tail = READ }
}

/* = Poller.wake of W */
inline wakeW() {
  if
  :: atomic { asleepW -> asleepW = false; ASLEEP_W = 0 }
  :: else
  fi
}

/* = Publisher.publish, Publisher.#ringIf(SLEEPS) */
inline publish() {
  if
  :: dirty ->
#ifdef RING_BEFORE_PUBLISH
    atomic { publishedThisTurn = true; dirty = false; seenByW = ASLEEP_R };
    HEAD = head;
#else
    atomic { publishedThisTurn = true; dirty = false; HEAD = head };
#endif
    atomic {
#ifndef RING_BEFORE_PUBLISH
      seenByW = ASLEEP_R;
#endif
      if
      :: (seenByW & SLEEPS) && seenByW != rungByW -> rungByW = seenByW; ringing = true
      :: else -> ringing = false
      fi;
      seenByW = 0
    };
    if
    :: ringing -> atomic { bellR = true; ringing = false }
    :: else
    fi
  :: else
  fi
}

/*
 * = RecordWriter.append with the engine's answer to -1 (Peer.block); then Publisher.publishNow or publishSoon, and
 * Poller.publishLater
 */
inline append() {
  atomic {
    if
    :: size == 0 -> if :: size = 1 :: size = 2 fi
    :: else
    fi;
    claim(size, granted);
    if
    :: !granted -> refreshRoom(); claim(size, granted)
    :: else
    fi;
    if
    :: !granted -> needsRoom = true; blocked = true
    :: else
    fi
  };
  if
  :: !granted ->
#ifdef NO_WAKE_WHEN_FULL
    skip
#else
    /* = Poller.#mustLook: needsRoom */
    wakeW()
#endif
  :: else ->
#ifdef HEAD_BEFORE_RECORD
    HEAD = PLUS(claimed, size);
#endif
    /* = RingWriter.commit */
#ifndef NO_LAP_END
    if
    :: at == 0 -> LAP_END = head
    :: else
    fi;
#endif
    d_step {
      recordId[at] = next; recordSize[at] = size; head = PLUS(claimed, size);
      dirty = true; next++; size = 0; blocked = false; granted = false; at = 0; claimed = 0
    };
    if
    :: !publishedThisTurn -> publish()
    :: true /* publishSoon: what the program sends with MSG_MORE */
    fi;
    /* = Poller.#mustLook: where a spin is worth it */
    if
    :: wakeW()
    :: !needsRoom
    fi
  fi
}

/* = Poller.flush of a turn of the program, as a tick after its own */
inline flush() {
#ifndef NO_FLUSH
  publish();
#endif
  publishedThisTurn = false
}

/* = Link.checkRoom: those who wait go on (= roomMade) */
inline checkRoom(made) {
  made = false;
  if
  :: needsRoom ->
    refreshRoom();
    if
    :: CAPACITY - MINUS(head, tail) >= HAS_ROOM ->
      needsRoom = false;
      made = true;
      if
      :: blocked -> append()
      :: else
      fi
    :: else
    fi
  :: else
  fi
}

/* = Poller.#sleep, #sleepOn */
inline sleepW() {
  atomic {
    asleepW = true;
#ifdef NO_WANTS_ROOM
    ASLEEP_W = WORD(FRESH(rungByR), 0) + SLEEPS
#else
    ASLEEP_W = WORD(FRESH(rungByR), needsRoom) + SLEEPS
#endif
  };
#ifndef NO_ROOM_CHECK_AFTER_ASLEEP
  checkRoom(made);
  if
  :: made -> wakeW(); flush()
  :: else
  fi
#endif
}

proctype W() {
  byte size = 0;
  bool granted, made;
  do
  /* The program sends in a turn of the event loop: one record, or several. */
  :: next < RECORDS && !blocked ->
    append();
    do
    :: next < RECORDS && !blocked -> append()
    :: break
    od;
    flush()
  /* = Poller.#runTurn, #look */
  :: !asleepW ->
    publishedThisTurn = false;
    checkRoom(made);
    flush();
    if
    :: made
    :: else -> sleepW()
    fi
  /* = BellReader, Poller.rung: a turn of its own where we sleep, then awake or asleep anew */
  :: atomic { bellW -> bellW = false };
    if
    :: asleepW ->
      publishedThisTurn = false;
      checkRoom(made);
      flush();
      if
      :: wakeW()
      :: asleepW -> sleepW()
      fi
    :: else
    fi
  :: next == RECORDS && asleepW && !bellW -> break
  od
}

/* = Poller.wake of R */
inline wakeR() {
  if
  :: atomic { asleepR -> asleepR = false; ASLEEP_R = 0 }
  :: else
  fi
}

/* = RingReader.poll: `span` of records may be looked at from `position` on */
inline poll() {
  d_step {
#ifdef NO_WRAP
    available = (HEAD > position -> HEAD - position : 0);
#else
    available = MINUS(HEAD, position);
#endif
    assert(available <= CAPACITY);
    span = available
  };
  if
  :: available > CAPACITY - position % CAPACITY ->
    d_step {
      left = MINUS(LAP_END, position);
      assert(left <= CAPACITY - position % CAPACITY);
      if
      :: left > 0 -> span = left
      :: else -> span = available - (CAPACITY - position % CAPACITY); position = PLUS(position, CAPACITY - position % CAPACITY)
      fi;
      left = 0
    }
  :: else
  fi
}

/* = Link.#acknowledge, Publisher.#ringIf(SLEEPS | WANTS_ROOM) */
inline acknowledge() {
  atomic { READ = position; span = 0; more = false };
#ifndef NO_RING_FOR_ROOM
  atomic {
    seenByR = ASLEEP_W;
#ifdef RING_ONCE_FOR_ALL
    seenByR = seenByR & (SLEEPS | WANTS_ROOM);
#endif
    if
    :: (seenByR & SLEEPS) && (seenByR & WANTS_ROOM) && seenByR != rungByR -> rungByR = seenByR; answering = true
    :: else -> answering = false
    fi;
    seenByR = 0
  };
  if
  :: answering -> atomic { bellW = true; answering = false }
  :: else
  fi
#endif
}

/* = Poller.#look, Link.poll */
inline takeIn() {
  more = true;
  do
  :: span > 0 && more ->
    slot = position % CAPACITY;
#ifdef ACKNOWLEDGE_BEFORE_USE
    READ = PLUS(position, recordSize[slot]);
#endif
    /* = Link.#deliver: the sink is done with the record before it is consumed */
    progress: d_step {
      assert(recordId[slot] == got);
      assert(recordSize[slot] >= 1 && recordSize[slot] <= span);
      span = span - recordSize[slot]; position = PLUS(position, recordSize[slot]); got++;
      slot = 0; available = 0
    };
    /* behind: the rest in the next turn */
    if :: true :: more = false; behind = (span > 0) fi
  :: else -> break
  od;
  acknowledge()
}

/* = Poller.#sleep, #sleepOn */
inline sleepR() {
#ifdef LOOK_BEFORE_ASLEEP
  poll();
#endif
#ifndef KEEP_WORD
  atomic { asleepR = true; ASLEEP_R = WORD(FRESH(rungByW), 0) + SLEEPS };
#else
  atomic { if :: !asleepR -> ASLEEP_R = WORD(FRESH(rungByW), 0) + SLEEPS :: else fi; asleepR = true };
#endif
#ifndef NO_LOOK_AFTER_ASLEEP
#ifndef LOOK_BEFORE_ASLEEP
  poll();
#endif
  if
  :: span > 0 -> wakeR()
  :: else
  fi
#endif
}

proctype R() {
  byte available, span, left, slot;
  bool more, behind;
  do
  /* = Poller.#runTurn */
  :: !asleepR ->
    poll();
    if
    :: span > 0 -> takeIn(); behind = false
    :: else -> sleepR()
    fi
  /* = BellReader, Poller.rung: a turn of its own where we sleep, then awake or asleep anew */
  :: atomic { bellR -> bellR = false };
    if
    :: asleepR ->
      poll();
      if
      :: span > 0 -> takeIn()
      :: else
      fi;
      if
      :: wakeR()
      :: !behind -> sleepR()
      fi;
      behind = false
    :: else
    fi
  :: got == RECORDS && asleepR && !bellR -> break
  od
}

init {
  atomic { run W(); run R() }
}
