// The drivers of bench/assembly/drivers/ for wasi-libc's malloc, which is Doug Lea's: the same random numbers, the same
// order of operations, the same checksums, the same words in the records. In one module with the allocator and optimized
// together with it, so that dlmalloc pays for no call across modules.
//
// bench/peers/build.mjs compiles it where clang and wasi-libc are installed.

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// In place of wasi-libc's, which copies word by word and makes reallocations an eighth slower (heap/reallocating).
void *memcpy(void *restrict to, const void *restrict from, size_t bytes) { return __builtin_memcpy(to, from, bytes); }

#define EXPORT(name) __attribute__((export_name(#name)))
#define PAGE_SHIFT 16

__attribute__((import_module("clock"), import_name("now"))) double now(void);

// What the host needs (tables, operations, samples) lies below the heap. Zeros, so the module's file does not hold it.
static uint8_t scratch[SCRATCH_BYTES] __attribute__((aligned(16)));
extern uint8_t __heap_base;

EXPORT(scratchStart) void *scratchStart(void) { return scratch; }

// All behind it is malloc's.
EXPORT(heapStart) void *heapStart(void) { return &__heap_base; }

// The same bytes as the TLSF module counts: from the heap's base to the end of memory.
static uint32_t taken(void) {
  return (uint32_t)((__builtin_wasm_memory_size(0) << PAGE_SHIFT) - (uintptr_t)&__heap_base);
}

static uint32_t least(uint32_t one, uint32_t other) { return one < other ? one : other; }
static uint32_t most(uint32_t one, uint32_t other) { return one > other ? one : other; }

static uint32_t nextRandom(uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ (state << 5);
}

static uint32_t pick(uint32_t state, uint32_t bound) { return (uint32_t)(((uint64_t)state * bound) >> 32); }

static uint32_t firstWord(const uint8_t *block) { return *(const uint32_t *)block; }
static void setFirstWord(uint8_t *block, uint32_t word) { *(uint32_t *)block = word; }

typedef struct {
  uint8_t *address;
  uint32_t size;
} Block;

// ── churn ───────────────────────────────────────────────────────────────────────────────────────────────────────────

typedef struct {
  uint32_t peakLive, peakTaken, nextLook;
  uint32_t performed;
  Block *table;
  uint32_t capacity, seed, minimumLive, maximumSize, operations, reallocates;
} Churn;

static void follow(Churn *record, uint32_t live, uint32_t step) {
  if (live > record->peakLive) record->peakLive = live;
  if (live > record->nextLook || (step & 63) == 0) {
    record->nextLook = most(record->nextLook, live + (live >> 7));
    record->peakTaken = most(record->peakTaken, taken());
  }
}

EXPORT(dlmallocCreate) uint32_t dlmallocCreate(uint32_t place) { return place; }

EXPORT(dlmallocChurn) double dlmallocChurn(uint32_t place, Churn *record) {
  (void)place;
  Block *table = record->table;
  uint32_t minimumLive = record->minimumLive, maximumSize = record->maximumSize;
  uint32_t kinds = 2 + record->reallocates, end = minimumLive + record->operations;
  record->peakLive = record->peakTaken = record->nextLook = 0;
  uint32_t random = record->seed, count = 0, live = 0;
  double checksum = 0;
  for (uint32_t step = 0; step < end; step++) {
    random = nextRandom(random);
    uint32_t kind = step < minimumLive ? 0 : pick(random, kinds);
    if (kind == 1 && count <= minimumLive) kind = 0;
    random = nextRandom(random);
    if (kind == 0) {
      uint32_t size = pick(random, maximumSize) + 1;
      uint8_t *address = malloc(size);
      if (!address || count == record->capacity) return NAN;
      if (size >= 4) setFirstWord(address, step);
      table[count++] = (Block){address, size};
      live += size;
      follow(record, live, step);
      continue;
    }
    Block *block = table + pick(random, count);
    uint8_t *address = block->address;
    uint32_t size = block->size;
    if (kind == 1) {
      if (size >= 4) checksum += firstWord(address);
      free(address);
      *block = table[--count];
      live -= size;
      continue;
    }
    random = nextRandom(random);
    uint32_t newSize = pick(random, maximumSize) + 1;
    uint8_t *moved = realloc(address, newSize);
    if (!moved) return NAN;
    if (least(size, newSize) >= 4) checksum += firstWord(moved);
    if (newSize >= 4) setFirstWord(moved, step);
    *block = (Block){moved, newSize};
    live = live - size + newSize;
    follow(record, live, step);
  }
  record->peakTaken = most(record->peakTaken, taken());
  record->performed = end + count;
  while (count) {
    Block block = table[--count];
    if (block.size >= 4) checksum += firstWord(block.address);
    free(block.address);
  }
  return checksum;
}

// ── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

typedef struct {
  uint32_t word, size;
} Operation;

enum { ALLOCATE, REALLOCATE };

typedef struct {
  const Operation *operations;
  uint32_t count;
  Block *table;
  uint32_t ids;
  double *samples;
  uint32_t every, first, fills;
  uint32_t at, live, taken, peakLive, peakTaken;
  uint32_t faultId, faultPosition, faultExpected, faultFound;
} Replay;

typedef struct {
  double *cursor;
  uint32_t every, left;
  double started;
} Sampler;

static void startSampler(Sampler *sampler, const Replay *record) {
  sampler->cursor = record->samples;
  sampler->every = record->every;
  sampler->left = record->first + 1;
}

static void before(Sampler *sampler) {
  if (sampler && sampler->left == 1) sampler->started = now();
}

static void after(Sampler *sampler) {
  if (!sampler || --sampler->left) return;
  *sampler->cursor++ = now() - sampler->started;
  sampler->left = sampler->every;
}

static double failAt(Replay *record, uint32_t index) {
  record->at = index;
  return NAN;
}

// Compiled twice, with and without a sampler, as the AssemblyScript drivers are.
static inline __attribute__((always_inline)) double run(Replay *record, Sampler *sampler) {
  const Operation *operations = record->operations;
  uint32_t count = record->count;
  Block *table = record->table;
  double checksum = 0;
  for (uint32_t index = 0; index < count; index++) {
    uint32_t word = operations[index].word, kind = word & 3;
    Block *block = table + (word >> 2);
    if (kind == ALLOCATE) {
      uint32_t size = operations[index].size;
      before(sampler);
      uint8_t *address = malloc(size);
      after(sampler);
      if (!address) return failAt(record, index);
      if (size >= 4) setFirstWord(address, index);
      *block = (Block){address, size};
      continue;
    }
    uint8_t *address = block->address;
    uint32_t size = block->size;
    if (kind == REALLOCATE) {
      uint32_t newSize = operations[index].size;
      before(sampler);
      uint8_t *moved = realloc(address, newSize);
      after(sampler);
      if (!moved) return failAt(record, index);
      if (least(size, newSize) >= 4) checksum += firstWord(moved);
      if (newSize >= 4) setFirstWord(moved, index);
      *block = (Block){moved, newSize};
    } else {
      if (size >= 4) checksum += firstWord(address);
      before(sampler);
      free(address);
      after(sampler);
      block->address = NULL;
    }
  }
  return checksum;
}

EXPORT(dlmallocReplay) double dlmallocReplay(uint32_t place, Replay *record, uint32_t unwatched) {
  (void)place, (void)unwatched;
  return run(record, NULL);
}

EXPORT(dlmallocSampleReplay) double dlmallocSampleReplay(uint32_t place, Replay *record, Sampler *sampler) {
  (void)place;
  startSampler(sampler, record);
  return run(record, sampler);
}

EXPORT(dlmallocRelease) uint32_t dlmallocRelease(uint32_t place, Replay *record) {
  (void)place;
  uint32_t released = 0;
  for (uint32_t id = 0; id < record->ids; id++) {
    Block *block = record->table + id;
    if (!block->address) continue;
    free(block->address);
    block->address = NULL;
    released++;
  }
  return released;
}

EXPORT(sampleNothing) void sampleNothing(Sampler *sampler, Replay *record, uint32_t count) {
  startSampler(sampler, record);
  for (uint32_t index = 0; index < count; index++) {
    before(sampler);
    after(sampler);
  }
}

// ── integrity ───────────────────────────────────────────────────────────────────────────────────────────────────────

enum { NO_FAULT, OUT_OF_MEMORY, MISALIGNED, CHANGED };

static uint32_t patternAt(uint32_t id, uint32_t position) {
  return (id * 0x9e3779b1u) ^ (position * 0x85ebca6bu) ^ 0x5bd1e995u;
}

static uint8_t patternByte(uint32_t id, uint32_t position) {
  return (uint8_t)(patternAt(id, position & ~3u) >> ((position & 3) << 3));
}

static void fill(uint32_t id, uint8_t *address, uint32_t start, uint32_t end) {
  for (uint32_t position = start; position < end; position++) address[position] = patternByte(id, position);
}

static bool isUnchanged(Replay *record, uint32_t id, const uint8_t *address, uint32_t size) {
  for (uint32_t position = 0; position < size; position++) {
    if (address[position] == patternByte(id, position)) continue;
    record->faultId = id;
    record->faultPosition = position;
    record->faultExpected = patternByte(id, position);
    record->faultFound = address[position];
    return false;
  }
  return true;
}

EXPORT(dlmallocCheckReplay) uint32_t dlmallocCheckReplay(uint32_t place, Replay *record) {
  (void)place;
  bool fills = record->fills != 0;
  record->live = record->peakLive = record->peakTaken = 0;
  for (uint32_t index = 0; index < record->count; index++) {
    record->at = index;
    uint32_t word = record->operations[index].word, id = word >> 2, kind = word & 3;
    Block *block = record->table + id;
    uint8_t *address = block->address, *newAddress = NULL;
    uint32_t size = kind == ALLOCATE ? 0 : block->size, newSize = 0;
    if (kind != ALLOCATE && fills && !isUnchanged(record, id, address, size)) return CHANGED;
    if (kind == ALLOCATE || kind == REALLOCATE) {
      newSize = record->operations[index].size;
      newAddress = kind == ALLOCATE ? malloc(newSize) : realloc(address, newSize);
      if (!newAddress) return OUT_OF_MEMORY;
      if ((uintptr_t)newAddress & 7) {
        record->faultId = id;
        record->faultFound = (uint32_t)(uintptr_t)newAddress;
        return MISALIGNED;
      }
    } else {
      free(address);
    }
    *block = (Block){newAddress, newSize};
    if (fills) {
      if (!isUnchanged(record, id, newAddress, least(size, newSize))) return CHANGED;
      fill(id, newAddress, size, newSize);
    }
    record->live = record->live - size + newSize;
    record->taken = taken();
    record->peakLive = most(record->peakLive, record->live);
    record->peakTaken = most(record->peakTaken, record->taken);
  }
  record->at = record->count;
  if (!fills) return NO_FAULT;
  for (uint32_t id = 0; id < record->ids; id++) {
    Block *block = record->table + id;
    if (block->address && !isUnchanged(record, id, block->address, block->size)) return CHANGED;
  }
  return NO_FAULT;
}
