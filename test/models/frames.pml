/*
 * The log of frames of the direct driver: one writer W, one reader R on another host, and between them a file system D
 * that shows each block when it likes.
 *
 * Stands for src/storage/frame-writer.ts and frame-reader.ts. `=` names the function that a line stands for;
 * docs/models.md has the table. A look at a block gives what was there before or what was written last, block by block:
 * so a frame of several may be seen torn, and a status late. Nobody is woken: both look again after a while, which is
 * no more than a step that can be taken at any time. One record per frame.
 *
 * Properties: R takes in each record once, in order and whole (assert); W never waits for room that R has made (invalid
 * end states). Positions count modulo 32 and begin at 28, so that they wrap as 32 bits do; numbers of frames do not
 * wrap.
 */
#define CAPACITY 8
#define MODULUS 32
#ifndef RECORDS
#define RECORDS 8
#endif
/* = frameMaxBytes: a quarter of the log */
#ifdef FRAME_TOO_LARGE
#define FRAME_MAX 5
#else
#define FRAME_MAX 2
#endif
/* = FrameWriter.acknowledge: not told before it is a quarter */
#ifdef TELL_RARELY
#define TOLD_AFTER CAPACITY
#else
#define TOLD_AFTER 2
#endif
#define MINUS(a, b) (((a) + MODULUS - (b)) % MODULUS)
#define PLUS(a, b) (((a) + (b)) % MODULUS)
#define OFFSET(position) ((position) % CAPACITY)

/* In the file: of each block the frame that it belongs to and which part of it it is; of each frame what its header and payload tell. */
byte number[CAPACITY], part[CAPACITY], seenNumber[CAPACITY], seenPart[CAPACITY];
byte size[2 * RECORDS + 2], record[2 * RECORDS + 2];
byte READ = 28, seenRead = 28;
/* Of W alone; `frame` is the number of the next. */
byte head = 28, tail = 28, frame = 1, next;
/* Of R alone. */
byte position = 28, shown = 28, wanted = 1, got;

hidden byte i, rest, blocks;

/* = #send, #advance. `length` 0: an empty frame, which sends the reader to the next lap. */
inline write(length, content) {
  size[frame] = length; record[frame] = content;
  i = 0;
  do
  :: i < length || i == 0 -> number[OFFSET(PLUS(head, i))] = frame; part[OFFSET(PLUS(head, i))] = i; i++
  :: else -> break
  od;
  frame++
}

#ifdef NO_FREE_CHECK
#define FREE CAPACITY
#else
#define FREE (CAPACITY - MINUS(head, tail))
#endif
#define REST (CAPACITY - OFFSET(head))
#ifdef SKIP_NOT_COUNTED
#define NEED(length) (length)
#else
#define NEED(length) ((REST < length -> REST : 0) + length)
#endif

proctype W() {
  byte length;
  do
  :: next == RECORDS -> break
  :: next < RECORDS && length == 0 -> if :: length = 1 :: length = FRAME_MAX fi
  /* = claim, #makeRoom, #writeSkip, #writeFrame */
  :: length > 0 && NEED(length) <= FREE ->
    d_step {
      rest = REST;
      if
#ifdef NO_SKIP_FRAME
      :: rest < length -> head = PLUS(head, rest)
#else
      :: rest < length -> write(0, 0); head = PLUS(head, rest)
#endif
      :: else
      fi;
      write(length, next);
      head = PLUS(head, length); next++; length = 0; rest = 0
    }
  /* = released, by what FrameReader.peerRead has seen */
  :: length > 0 && NEED(length) > FREE && seenRead != tail ->
    d_step { assert(MINUS(seenRead, tail) <= MINUS(head, tail)); tail = seenRead }
  od
}

/* What is written is seen some time later. */
proctype D() {
end:
  do
  :: atomic { seenNumber[0] != number[0] || seenPart[0] != part[0] -> seenNumber[0] = number[0]; seenPart[0] = part[0] }
  :: atomic { seenNumber[1] != number[1] || seenPart[1] != part[1] -> seenNumber[1] = number[1]; seenPart[1] = part[1] }
  :: atomic { seenNumber[2] != number[2] || seenPart[2] != part[2] -> seenNumber[2] = number[2]; seenPart[2] = part[2] }
  :: atomic { seenNumber[3] != number[3] || seenPart[3] != part[3] -> seenNumber[3] = number[3]; seenPart[3] = part[3] }
  :: atomic { seenNumber[4] != number[4] || seenPart[4] != part[4] -> seenNumber[4] = number[4]; seenPart[4] = part[4] }
  :: atomic { seenNumber[5] != number[5] || seenPart[5] != part[5] -> seenNumber[5] = number[5]; seenPart[5] = part[5] }
  :: atomic { seenNumber[6] != number[6] || seenPart[6] != part[6] -> seenNumber[6] = number[6]; seenPart[6] = part[6] }
  :: atomic { seenNumber[7] != number[7] || seenPart[7] != part[7] -> seenNumber[7] = number[7]; seenPart[7] = part[7] }
  :: seenRead != READ -> seenRead = READ
  od
}

#define AT OFFSET(position)
/* = #look: the number of the frame fits. */
#ifdef NO_SEQUENCE
#define HEADER (seenNumber[AT] > 0 && seenPart[AT] == 0)
#else
#define HEADER (seenNumber[AT] == wanted && seenPart[AT] == 0)
#endif
/* Its checksum does: all of its blocks are seen. */
#define WHOLE(n) (seenNumber[OFFSET(PLUS(position, n))] == seenNumber[AT] && seenPart[OFFSET(PLUS(position, n))] == n || size[seenNumber[AT]] <= n)
#ifdef NO_CRC
#define FITS true
#else
#define FITS (WHOLE(1) && WHOLE(2) && WHOLE(3) && WHOLE(4))
#endif

proctype R() {
  do
  :: got == RECORDS -> break
  :: got < RECORDS && HEADER && FITS ->
    d_step {
      blocks = size[seenNumber[AT]];
      if
      :: blocks == 0 ->
#ifdef NO_LAP
        position = position
#else
        position = PLUS(position, CAPACITY - AT)
#endif
      :: else ->
        assert(record[seenNumber[AT]] == got);
        assert(WHOLE(1) && WHOLE(2) && WHOLE(3) && WHOLE(4));
        got++;
        position = PLUS(position, blocks)
      fi;
      wanted++; blocks = 0;
      /* = Link.#acknowledge, FrameWriter.acknowledge, #writeStatus */
#ifdef TELL_AHEAD
      READ = PLUS(position, 1); shown = position
#else
      if
      :: MINUS(position, shown) >= TOLD_AFTER -> READ = position; shown = position
      :: else
      fi
#endif
    }
  od
}

init { atomic { run W(); run D(); run R() } }
