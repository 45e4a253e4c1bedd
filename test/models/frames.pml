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
/* = frameMaxBytes: a quarter of a large log, three eighths of a small one */
#ifndef FRAME_MAX
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
/* = nextFrameAt: where the frame after one that ends at `end` begins */
#define NEXT(end) ((end) > CAPACITY - FRAME_MAX -> 0 : (end))
/* = #lengthOnDisk: with the end of the lap where no other frame begins behind it */
#define ON_DISK(offset, length) (NEXT((offset) + (length)) == 0 -> CAPACITY - (offset) : (length))
/* What a writer that forgets the end of the lap counts. */
#ifdef SKIP_NOT_COUNTED
#define TAKEN(offset, length) (length)
#else
#define TAKEN(offset, length) ON_DISK(offset, length)
#endif
/* What a reader does that goes on to the next lap only at the very end of the log. */
#ifdef OWN_LAP_RULE
#define NEXT_READ(end) ((end) >= CAPACITY -> 0 : (end))
#else
#define NEXT_READ(end) NEXT(end)
#endif

/* In the file: of each block the frame that it belongs to and which part of it it is; of each frame what its header and payload tell. */
byte number[CAPACITY], part[CAPACITY], seenNumber[CAPACITY], seenPart[CAPACITY];
byte size[RECORDS + 1], record[RECORDS + 1], place[RECORDS + 1];
byte READ = 28, seenRead = 28;
/* Of W alone; `frame` is the number of the next. = offsetOf: where the first frame lies */
byte head = 28, tail = 28, frame = 1, next, to = 4;
/* Of R alone. */
byte position = 28, shown = 28, wanted = 1, got, at = 4;

hidden byte i, blocks;

/* = #writeFrame, #send, #advance */
inline write(length, content) {
  size[frame] = length; record[frame] = content; place[frame] = head;
  i = 0;
  do
  :: i < length -> number[to + i] = frame; part[to + i] = i; i++
  :: else -> break
  od;
  frame++;
  head = PLUS(head, TAKEN(to, length));
  to = NEXT(to + length)
}

#ifdef NO_FREE_CHECK
#define FREE CAPACITY
#else
#define FREE (MINUS(head, tail) > CAPACITY -> 0 : CAPACITY - MINUS(head, tail))
#endif

proctype W() {
  byte length;
  do
  :: next == RECORDS -> break
  :: next < RECORDS && length == 0 -> if :: length = 1 :: length = FRAME_MAX fi
  /* = claim, #makeRoom */
  :: length > 0 && length <= FREE ->
    d_step { write(length, next); next++; length = 0 }
  /* = FrameWriter.released, FrameReader.peerRead: what it has seen */
  :: length > 0 && length > FREE && seenRead != tail ->
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

/* = #look: the number of the frame fits. */
#ifdef NO_SEQUENCE
#define HEADER (seenNumber[at] > 0 && seenPart[at] == 0)
#else
#define HEADER (seenNumber[at] == wanted && seenPart[at] == 0)
#endif
/* Its checksum does: all of its blocks are seen. */
#define WHOLE(n) (size[seenNumber[at]] <= n || seenNumber[at + n] == seenNumber[at] && seenPart[at + n] == n)
#ifdef NO_CRC
#define FITS true
#else
#define FITS (WHOLE(1) && WHOLE(2))
#endif

proctype R() {
  do
  :: got == RECORDS -> break
  :: got < RECORDS && HEADER && FITS ->
    d_step {
      blocks = size[seenNumber[at]];
      /* = #look: the frame says where it lies */
      assert(place[seenNumber[at]] == position);
      assert(record[seenNumber[at]] == got);
      assert(WHOLE(1) && WHOLE(2));
      got++;
      position = PLUS(position, (NEXT_READ(at + blocks) == 0 -> CAPACITY - at : blocks));
      at = NEXT_READ(at + blocks);
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
