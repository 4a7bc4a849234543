/* The least that a step can cost: threads that read and write the same streams and do next to nothing with them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { kChunk = 1 << 15, kMostThreads = 64 };

typedef struct {
  float **streams;
  int reads, updates;
  size_t size;
  atomic_size_t next;
  pthread_mutex_t lock;
  double total;
} Sweep;

/* One loop for each number of arrays, so that the compiler sees plain pointers. */
#define READ(k, R) (R > k ? in##k[i] : 0.0f)
#define UPDATE(k, U) \
  if (U > k) out##k[i] += sum
#define LOOP(R, U)                                                          \
  static double loop_##R##_##U(float **s, size_t begin, size_t end) {       \
    const float *restrict in0 = R > 0 ? s[0] : NULL;                        \
    const float *restrict in1 = R > 1 ? s[1] : NULL;                        \
    const float *restrict in2 = R > 2 ? s[2] : NULL;                        \
    float *restrict out0 = U > 0 ? s[R] : NULL;                             \
    float *restrict out1 = U > 1 ? s[R + 1] : NULL;                         \
    float *restrict out2 = U > 2 ? s[R + 2] : NULL;                         \
    double total = 0;                                                       \
    for (size_t i = begin; i < end; ++i) {                                  \
      const float sum = READ(0, R) + READ(1, R) + READ(2, R);               \
      UPDATE(0, U);                                                         \
      UPDATE(1, U);                                                         \
      UPDATE(2, U);                                                         \
      if (!U) total += sum;                                                 \
    }                                                                       \
    return total;                                                           \
  }
#define ROW(R) LOOP(R, 0) LOOP(R, 1) LOOP(R, 2) LOOP(R, 3)
ROW(0) ROW(1) ROW(2) ROW(3)
#define ENTRIES(R) {loop_##R##_0, loop_##R##_1, loop_##R##_2, loop_##R##_3}
static double (*const loops[4][4])(float **, size_t, size_t) = {ENTRIES(0), ENTRIES(1), ENTRIES(2), ENTRIES(3)};

static void *work(void *argument) {
  Sweep *sweep = argument;
  double total = 0;
  for (;;) {
    size_t start = atomic_fetch_add(&sweep->next, kChunk);
    if (start >= sweep->size) break;
    size_t end = start + kChunk < sweep->size ? start + kChunk : sweep->size;
    total += loops[sweep->reads][sweep->updates](sweep->streams, start, end);
  }
  pthread_mutex_lock(&sweep->lock);
  sweep->total += total;
  pthread_mutex_unlock(&sweep->lock);
  return NULL;
}

/* One sweep over `reads` arrays that are read and `updates` arrays that are read and written, of `size` floats each;
   at most three of each kind. */
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
