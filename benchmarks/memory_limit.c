/* The least that a step can cost: threads that read and write the same streams and do next to nothing with them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { kBlock = 1024, kChunk = 1 << 15, kMostThreads = 64 };

typedef struct {
  float **streams;
  int reads, updates;
  size_t size;
  atomic_size_t next;
  pthread_mutex_t lock;
  double total;
} Sweep;

static void block(Sweep *sweep, size_t start, size_t count, float *sum) {
  for (size_t i = 0; i < count; ++i) sum[i] = 1e-9f;
  for (int s = 0; s < sweep->reads; ++s) {
    const float *restrict in = sweep->streams[s] + start;
    for (size_t i = 0; i < count; ++i) sum[i] += in[i];
  }
  for (int s = 0; s < sweep->updates; ++s) {
    float *restrict array = sweep->streams[sweep->reads + s] + start;
    for (size_t i = 0; i < count; ++i) array[i] += sum[i];
  }
}

static void *work(void *argument) {
  Sweep *sweep = argument;
  float sum[kBlock];
  double total = 0;
  for (;;) {
    size_t start = atomic_fetch_add(&sweep->next, kChunk);
    if (start >= sweep->size) break;
    size_t end = start + kChunk < sweep->size ? start + kChunk : sweep->size;
    for (size_t i = start; i < end; i += kBlock) {
      block(sweep, i, end - i < kBlock ? end - i : kBlock, sum);
      total += sum[0];
    }
  }
  pthread_mutex_lock(&sweep->lock);
  sweep->total += total;
  pthread_mutex_unlock(&sweep->lock);
  return NULL;
}

/* One sweep over `reads` arrays that are read and `updates` arrays that are read and written, of `size` floats each. */
double optcc_sweep_limit(float **streams, int reads, int updates, size_t size, int threads) {
  Sweep sweep = {streams, reads, updates, size, 0, PTHREAD_MUTEX_INITIALIZER, 0};
  pthread_t others[kMostThreads];
  int used = threads < kMostThreads ? threads : kMostThreads;
  if (size <= 4 * kChunk) used = 1;
  for (int t = 1; t < used; ++t) pthread_create(&others[t], NULL, work, &sweep);
  work(&sweep);
  for (int t = 1; t < used; ++t) pthread_join(others[t], NULL);
  return sweep.total;
}
