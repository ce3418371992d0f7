/* Tensors of dtorch for functions in C: a subset of the interface of Torch7's TH, over the same
 * memory.
 *
 * A function of an extension takes pointers to tensors, as THFloatTensor *, and numbers. A tensor
 * that it resizes is resized in Python when it returns; one that it makes and returns becomes a
 * tensor.
 *
 * For each of THByteTensor (unsigned char), THCharTensor (signed char), THShortTensor (short),
 * THIntTensor (int), THLongTensor (int64_t), THFloatTensor (float) and THDoubleTensor (double):
 *
 *   data(t)                     the first element; use strides unless isContiguous(t)
 *   nElement, nDimension, storageOffset(t) ; size, stride(t, dim)
 *   isContiguous(t), isSameSizeAs(a, b)
 *   new(), newWithSize1d..4d(sizes), newClone(t), newContiguous(t), retain(t), free(t)
 *   resize1d..4d(t, sizes), resizeNd(t, n, sizes), resizeAs(t, like)
 *   get1d..4d(t, indices), set1d..4d(t, indices, value)
 *   fill(t, value), zero(t), copy(to, from)
 *   add, sub, mul, div(to, from, value)      to = from + value, ...
 *   cadd, csub(to, a, value, b)              to = a + value * b, a - value * b
 *   cmul, cdiv(to, a, b)                     to = a * b, a / b
 *   sumall, minall, maxall(t), dot(a, b)
 *   addmm, addmv, addr(to, beta, t, alpha, a, b)
 *                               to = beta * t + alpha * (a b): of matrices, a matrix and a vector,
 *                               and the outer product of vectors
 *   pow(to, from, value), sqrt, exp, log, tanh, abs(to, from)      Float and Double only
 *
 * For storages, as THFloatStorage *: data, size, get, set, fill.
 * Functions that write resize what they write to, as in Torch7. THError(format, ...) and
 * THArgCheck(condition, argument, format, ...) end the call: it raises RuntimeError in Python.
 */
#ifndef DTORCH_TH_H
#define DTORCH_TH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TH_MAX_DIMS 16

/* Where the call from Python goes on after an error; defined once in each extension. */
extern __thread jmp_buf* th_call __attribute__((visibility("hidden")));
extern __thread char th_message[512] __attribute__((visibility("hidden")));

__attribute__((noreturn, format(printf, 1, 2), unused)) static void THError(const char* format,
                                                                            ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(th_message, sizeof th_message, format, values);
  va_end(values);
  if (!th_call) abort(); /* in a thread of the extension's own: there is no call to end */
  longjmp(*th_call, 1);
}

#define THArgCheck(condition, argument, ...)                \
  do {                                                      \
    if (!(condition)) {                                     \
      char th_text[256];                                    \
      snprintf(th_text, sizeof th_text, __VA_ARGS__);       \
      THError("argument %d: %s", (int)(argument), th_text); \
    }                                                       \
  } while (0)

static inline void* th_allocate(size_t bytes) {
  void* memory = malloc(bytes ? bytes : 1);
  if (!memory) THError("no memory for %zu bytes", bytes);
  return memory;
}

/* `room`: elements from `data` on that may be used. `owned`: they were allocated by the functions
 * below. `count`: of references; a tensor that came from Python has one that is not taken back. */
#define TH_TENSOR(Type, real, accreal)                                                             \
  typedef struct TH##Type##Tensor {                                                                \
    real* data;                                                                                    \
    int64_t size[TH_MAX_DIMS];                                                                     \
    int64_t stride[TH_MAX_DIMS];                                                                   \
    int64_t offset;                                                                                \
    int64_t room;                                                                                  \
    int nDimension;                                                                                \
    int owned;                                                                                     \
    int count;                                                                                     \
  } TH##Type##Tensor;                                                                              \
                                                                                                   \
  typedef struct TH##Type##Storage {                                                               \
    real* data;                                                                                    \
    int64_t size;                                                                                  \
  } TH##Type##Storage;                                                                             \
                                                                                                   \
  static inline real* TH##Type##Storage_data(const TH##Type##Storage* s) { return s->data; }       \
  static inline int64_t TH##Type##Storage_size(const TH##Type##Storage* s) { return s->size; }     \
  static inline real TH##Type##Storage_get(const TH##Type##Storage* s, int64_t i) {                \
    THArgCheck(i >= 0 && i < s->size, 2, "index %lld is out of range", (long long)i);              \
    return s->data[i];                                                                             \
  }                                                                                                \
  static inline void TH##Type##Storage_set(TH##Type##Storage* s, int64_t i, real value) {          \
    THArgCheck(i >= 0 && i < s->size, 2, "index %lld is out of range", (long long)i);              \
    s->data[i] = value;                                                                            \
  }                                                                                                \
  static inline void TH##Type##Storage_fill(TH##Type##Storage* s, real value) {                    \
    for (int64_t i = 0; i < s->size; i++) s->data[i] = value;                                      \
  }                                                                                                \
                                                                                                   \
  static inline real* TH##Type##Tensor_data(const TH##Type##Tensor* t) { return t->data; }         \
  static inline int TH##Type##Tensor_nDimension(const TH##Type##Tensor* t) {                       \
    return t->nDimension;                                                                          \
  }                                                                                                \
  static inline ptrdiff_t TH##Type##Tensor_storageOffset(const TH##Type##Tensor* t) {              \
    return (ptrdiff_t)t->offset;                                                                   \
  }                                                                                                \
  static inline int64_t TH##Type##Tensor_size(const TH##Type##Tensor* t, int dim) {                \
    THArgCheck(dim >= 0 && dim < t->nDimension, 2, "dim %d of %d dims", dim, t->nDimension);       \
    return t->size[dim];                                                                           \
  }                                                                                                \
  static inline int64_t TH##Type##Tensor_stride(const TH##Type##Tensor* t, int dim) {              \
    THArgCheck(dim >= 0 && dim < t->nDimension, 2, "dim %d of %d dims", dim, t->nDimension);       \
    return t->stride[dim];                                                                         \
  }                                                                                                \
  static inline ptrdiff_t TH##Type##Tensor_nElement(const TH##Type##Tensor* t) {                   \
    ptrdiff_t count = t->nDimension > 0;                                                           \
    for (int d = 0; d < t->nDimension; d++) count *= t->size[d];                                   \
    return count;                                                                                  \
  }                                                                                                \
  static inline int TH##Type##Tensor_isContiguous(const TH##Type##Tensor* t) {                     \
    int64_t step = 1;                                                                              \
    for (int d = t->nDimension - 1; d >= 0; d--) {                                                 \
      if (t->size[d] != 1 && t->stride[d] != step) return 0;                                       \
      step *= t->size[d];                                                                          \
    }                                                                                              \
    return 1;                                                                                      \
  }                                                                                                \
  static inline int TH##Type##Tensor_isSameSizeAs(const TH##Type##Tensor* a,                       \
                                                  const TH##Type##Tensor* b) {                     \
    return a->nDimension == b->nDimension &&                                                       \
           !memcmp(a->size, b->size, sizeof(int64_t) * (size_t)a->nDimension);                     \
  }                                                                                                \
  /* Where the i-th element lies, in the order of sizes. */                                        \
  static inline real* TH##Type##Tensor_at(const TH##Type##Tensor* t, ptrdiff_t i) {                \
    real* place = t->data;                                                                         \
    for (int d = t->nDimension - 1; d >= 0; d--) {                                                 \
      place += i % t->size[d] * t->stride[d];                                                      \
      i /= t->size[d];                                                                             \
    }                                                                                              \
    return place;                                                                                  \
  }                                                                                                \
                                                                                                   \
  static inline TH##Type##Tensor* TH##Type##Tensor_new(void) {                                     \
    TH##Type##Tensor* t = (TH##Type##Tensor*)th_allocate(sizeof *t);                               \
    memset(t, 0, sizeof *t);                                                                       \
    t->count = 1;                                                                                  \
    t->owned = 1;                                                                                  \
    return t;                                                                                      \
  }                                                                                                \
  static inline void TH##Type##Tensor_retain(TH##Type##Tensor* t) { t->count++; }                  \
  static inline void TH##Type##Tensor_free(TH##Type##Tensor* t) {                                  \
    if (!t || --t->count) return;                                                                  \
    if (t->owned) free(t->data);                                                                   \
    free(t);                                                                                       \
  }                                                                                                \
  static inline void TH##Type##Tensor_resizeNd(TH##Type##Tensor* t, int n, const int64_t* size) {  \
    int64_t count = n > 0;                                                                         \
    THArgCheck(n >= 0 && n <= TH_MAX_DIMS, 2, "%d dims, expected at most %d", n, TH_MAX_DIMS);     \
    for (int d = 0; d < n; d++) {                                                                  \
      THArgCheck(size[d] >= 0, 3, "size %lld", (long long)size[d]);                                \
      THArgCheck(!__builtin_mul_overflow(count, size[d], &count) && count <= INT64_MAX / 16, 3,    \
                 "too many elements");                                                             \
    }                                                                                              \
    if (n == t->nDimension && !memcmp(size, t->size, sizeof(int64_t) * (size_t)n)) return;         \
    if (count > t->room) {                                                                         \
      real* memory = (real*)th_allocate(sizeof(real) * (size_t)count);                             \
      if (t->room) memcpy(memory, t->data, sizeof(real) * (size_t)t->room);                        \
      if (t->owned) free(t->data);                                                                 \
      t->data = memory;                                                                            \
      t->room = count;                                                                             \
      t->offset = 0;                                                                               \
      t->owned = 1;                                                                                \
    }                                                                                              \
    t->nDimension = n;                                                                             \
    count = 1;                                                                                     \
    for (int d = n - 1; d >= 0; d--) {                                                             \
      t->size[d] = size[d];                                                                        \
      t->stride[d] = count;                                                                        \
      count *= size[d];                                                                            \
    }                                                                                              \
  }                                                                                                \
  static inline void TH##Type##Tensor_resizeAs(TH##Type##Tensor* t,                                \
                                               const TH##Type##Tensor* like) {                     \
    int64_t size[TH_MAX_DIMS]; /* of its own: both may be one tensor */                            \
    memcpy(size, like->size, sizeof size);                                                         \
    TH##Type##Tensor_resizeNd(t, like->nDimension, size);                                          \
  }                                                                                                \
  TH_OF_DIMS(Type, real, 1d, 1, (int64_t a), (a), (TH##Type##Tensor * t, int64_t a),               \
             (const TH##Type##Tensor* t, int64_t a),                                               \
             (TH##Type##Tensor * t, int64_t a, real value))                                        \
  TH_OF_DIMS(Type, real, 2d, 2, (int64_t a, int64_t b), (a, b),                                    \
             (TH##Type##Tensor * t, int64_t a, int64_t b),                                         \
             (const TH##Type##Tensor* t, int64_t a, int64_t b),                                    \
             (TH##Type##Tensor * t, int64_t a, int64_t b, real value))                             \
  TH_OF_DIMS(Type, real, 3d, 3, (int64_t a, int64_t b, int64_t c), (a, b, c),                      \
             (TH##Type##Tensor * t, int64_t a, int64_t b, int64_t c),                              \
             (const TH##Type##Tensor* t, int64_t a, int64_t b, int64_t c),                         \
             (TH##Type##Tensor * t, int64_t a, int64_t b, int64_t c, real value))                  \
  TH_OF_DIMS(Type, real, 4d, 4, (int64_t a, int64_t b, int64_t c, int64_t d), (a, b, c, d),        \
             (TH##Type##Tensor * t, int64_t a, int64_t b, int64_t c, int64_t d),                   \
             (const TH##Type##Tensor* t, int64_t a, int64_t b, int64_t c, int64_t d),              \
             (TH##Type##Tensor * t, int64_t a, int64_t b, int64_t c, int64_t d, real value))       \
                                                                                                   \
  static inline void TH##Type##Tensor_fill(TH##Type##Tensor* t, real value) {                      \
    ptrdiff_t n = TH##Type##Tensor_nElement(t);                                                    \
    for (ptrdiff_t i = 0; i < n; i++) *TH##Type##Tensor_at(t, i) = value;                          \
  }                                                                                                \
  static inline void TH##Type##Tensor_zero(TH##Type##Tensor* t) { TH##Type##Tensor_fill(t, 0); }   \
  static inline void TH##Type##Tensor_copy(TH##Type##Tensor* to, const TH##Type##Tensor* from) {   \
    ptrdiff_t n = TH##Type##Tensor_nElement(to);                                                   \
    THArgCheck(n == TH##Type##Tensor_nElement(from), 2, "sizes do not match");                     \
    for (ptrdiff_t i = 0; i < n; i++) *TH##Type##Tensor_at(to, i) = *TH##Type##Tensor_at(from, i); \
  }                                                                                                \
  static inline TH##Type##Tensor* TH##Type##Tensor_newClone(const TH##Type##Tensor* t) {           \
    TH##Type##Tensor* made = TH##Type##Tensor_new();                                               \
    TH##Type##Tensor_resizeAs(made, t);                                                            \
    TH##Type##Tensor_copy(made, t);                                                                \
    return made;                                                                                   \
  }                                                                                                \
  static inline TH##Type##Tensor* TH##Type##Tensor_newContiguous(TH##Type##Tensor* t) {            \
    if (!TH##Type##Tensor_isContiguous(t)) return TH##Type##Tensor_newClone(t);                    \
    TH##Type##Tensor_retain(t);                                                                    \
    return t;                                                                                      \
  }                                                                                                \
  TH_WITH_VALUE(Type, real, add, x + value)                                                        \
  TH_WITH_VALUE(Type, real, sub, x - value)                                                        \
  TH_WITH_VALUE(Type, real, mul, x* value)                                                         \
  TH_WITH_VALUE(Type, real, div, x / TH_DIVISOR(real, value))                                      \
  TH_WITH_TENSOR(Type, real, cadd, x + value * y, TH_SCALED(real))                                 \
  TH_WITH_TENSOR(Type, real, csub, x - value * y, TH_SCALED(real))                                 \
  TH_WITH_TENSOR(Type, real, cmul, x* y, TH_PLAIN(real))                                           \
  TH_WITH_TENSOR(Type, real, cdiv, x / TH_DIVISOR(real, y), TH_PLAIN(real))                        \
  static inline accreal TH##Type##Tensor_sumall(const TH##Type##Tensor* t) {                       \
    ptrdiff_t n = TH##Type##Tensor_nElement(t);                                                    \
    accreal sum = 0;                                                                               \
    for (ptrdiff_t i = 0; i < n; i++) sum += *TH##Type##Tensor_at(t, i);                           \
    return sum;                                                                                    \
  }                                                                                                \
  static inline accreal TH##Type##Tensor_dot(const TH##Type##Tensor* a,                            \
                                             const TH##Type##Tensor* b) {                          \
    ptrdiff_t n = TH##Type##Tensor_nElement(a);                                                    \
    accreal sum = 0;                                                                               \
    THArgCheck(n == TH##Type##Tensor_nElement(b), 2, "sizes do not match");                        \
    for (ptrdiff_t i = 0; i < n; i++)                                                              \
      sum += (accreal) * TH##Type##Tensor_at(a, i) * *TH##Type##Tensor_at(b, i);                   \
    return sum;                                                                                    \
  }                                                                                                \
  /* Products: a is rows x inner, b is inner x columns, by their strides. */                       \
  static inline void TH##Type##Tensor_product(                                                     \
      TH##Type##Tensor* to, real beta, const TH##Type##Tensor* t, real alpha, const real* a,       \
      int64_t a_row, int64_t a_inner, const real* b, int64_t b_inner, int64_t b_column,            \
      int64_t rows, int64_t columns, int64_t inner) {                                              \
    THArgCheck(TH##Type##Tensor_nElement(t) == rows * columns, 3, "sizes do not match");           \
    TH##Type##Tensor* made = TH##Type##Tensor_newClone(t); /* `to` may be one of the others */     \
    for (int64_t i = 0; i < rows; i++)                                                             \
      for (int64_t j = 0; j < columns; j++) {                                                      \
        accreal sum = 0;                                                                           \
        for (int64_t k = 0; k < inner; k++)                                                        \
          sum += (accreal)a[i * a_row + k * a_inner] * b[k * b_inner + j * b_column];              \
        real* place = made->data + i * columns + j;                                                \
        *place = (real)((beta == 0 ? 0 : beta * *place) + alpha * sum);                            \
      }                                                                                            \
    TH##Type##Tensor_resizeAs(to, made);                                                           \
    TH##Type##Tensor_copy(to, made);                                                               \
    TH##Type##Tensor_free(made);                                                                   \
  }                                                                                                \
  static inline void TH##Type##Tensor_addmm(                                                       \
      TH##Type##Tensor* to, real beta, const TH##Type##Tensor* t, real alpha,                      \
      const TH##Type##Tensor* a, const TH##Type##Tensor* b) {                                      \
    THArgCheck(a->nDimension == 2 && b->nDimension == 2, 5, "%d and %d dims, expected matrices",   \
               a->nDimension, b->nDimension);                                                      \
    THArgCheck(a->size[1] == b->size[0], 5, "sizes do not match");                                 \
    THArgCheck(t->nDimension == 2 && t->size[0] == a->size[0] && t->size[1] == b->size[1], 3,      \
               "sizes do not match");                                                              \
    TH##Type##Tensor_product(to, beta, t, alpha, a->data, a->stride[0], a->stride[1], b->data,     \
                             b->stride[0], b->stride[1], a->size[0], b->size[1], a->size[1]);      \
  }                                                                                                \
  static inline void TH##Type##Tensor_addmv(                                                       \
      TH##Type##Tensor* to, real beta, const TH##Type##Tensor* t, real alpha,                      \
      const TH##Type##Tensor* a, const TH##Type##Tensor* b) {                                      \
    THArgCheck(a->nDimension == 2 && b->nDimension == 1, 5,                                        \
               "%d and %d dims, expected a matrix and a vector", a->nDimension, b->nDimension);    \
    THArgCheck(a->size[1] == b->size[0], 5, "sizes do not match");                                 \
    THArgCheck(t->nDimension == 1, 3, "%d dims, expected a vector", t->nDimension);                \
    TH##Type##Tensor_product(to, beta, t, alpha, a->data, a->stride[0], a->stride[1], b->data,     \
                             b->stride[0], 0, a->size[0], 1, a->size[1]);                          \
  }                                                                                                \
  static inline void TH##Type##Tensor_addr(TH##Type##Tensor* to, real beta,                        \
                                           const TH##Type##Tensor* t, real alpha,                  \
                                           const TH##Type##Tensor* a, const TH##Type##Tensor* b) { \
    THArgCheck(a->nDimension == 1 && b->nDimension == 1, 5, "%d and %d dims, expected vectors",    \
               a->nDimension, b->nDimension);                                                      \
    THArgCheck(t->nDimension == 2 && t->size[0] == a->size[0], 3, "sizes do not match");           \
    TH##Type##Tensor_product(to, beta, t, alpha, a->data, a->stride[0], 0, b->data, 0,             \
                             b->stride[0], a->size[0], b->size[0], 1);                             \
  }                                                                                                \
  TH_EXTREME(Type, real, minall, <)                                                                \
  TH_EXTREME(Type, real, maxall, >)

/* What has a form for each number of dims from 1 to 4. */
#define TH_UNPACK(...) __VA_ARGS__
#define TH_OF_DIMS(Type, real, form, n, sizes, names, resized, read, written)           \
  static inline real* TH##Type##Tensor_place##form read {                               \
    const int64_t at[] = {TH_UNPACK names};                                             \
    real* place = t->data;                                                              \
    THArgCheck(t->nDimension == n, 1, "%d dims, expected %d", t->nDimension, n);        \
    for (int k = 0; k < n; k++) {                                                       \
      THArgCheck(at[k] >= 0 && at[k] < t->size[k], k + 2, "index %lld is out of range", \
                 (long long)at[k]);                                                     \
      place += at[k] * t->stride[k];                                                    \
    }                                                                                   \
    return place;                                                                       \
  }                                                                                     \
  static inline real TH##Type##Tensor_get##form read {                                  \
    return *TH##Type##Tensor_place##form(t, TH_UNPACK names);                           \
  }                                                                                     \
  static inline void TH##Type##Tensor_set##form written {                               \
    *TH##Type##Tensor_place##form(t, TH_UNPACK names) = value;                          \
  }                                                                                     \
  static inline void TH##Type##Tensor_resize##form resized {                            \
    const int64_t size[] = {TH_UNPACK names};                                           \
    TH##Type##Tensor_resizeNd(t, n, size);                                              \
  }                                                                                     \
  static inline TH##Type##Tensor* TH##Type##Tensor_newWithSize##form sizes {            \
    const int64_t size[] = {TH_UNPACK names};                                           \
    TH##Type##Tensor* t = TH##Type##Tensor_new();                                       \
    TH##Type##Tensor_resizeNd(t, n, size);                                              \
    return t;                                                                           \
  }

/* Whole numbers divided by 0 would end the process. */
#define TH_DIVISOR(real, y) ((real)0.5 != 0 || (y) != 0 ? (y) : (THError("division by 0"), (y)))

#define TH_WITH_VALUE(Type, real, name, formula)                                                 \
  static inline void TH##Type##Tensor_##name(TH##Type##Tensor* to, const TH##Type##Tensor* from, \
                                             real value) {                                       \
    TH##Type##Tensor_resizeAs(to, from);                                                         \
    ptrdiff_t n = TH##Type##Tensor_nElement(from);                                               \
    for (ptrdiff_t i = 0; i < n; i++) {                                                          \
      const real x = *TH##Type##Tensor_at(from, i);                                              \
      *TH##Type##Tensor_at(to, i) = (real)(formula);                                             \
    }                                                                                            \
  }

#define TH_PLAIN(real)
#define TH_SCALED(real) real value,
#define TH_WITH_TENSOR(Type, real, name, formula, scale)                                      \
  static inline void TH##Type##Tensor_##name(TH##Type##Tensor* to, const TH##Type##Tensor* a, \
                                             scale const TH##Type##Tensor* b) {               \
    ptrdiff_t n = TH##Type##Tensor_nElement(a);                                               \
    THArgCheck(n == TH##Type##Tensor_nElement(b), 3, "sizes do not match");                   \
    TH##Type##Tensor_resizeAs(to, a);                                                         \
    for (ptrdiff_t i = 0; i < n; i++) {                                                       \
      const real x = *TH##Type##Tensor_at(a, i), y = *TH##Type##Tensor_at(b, i);              \
      *TH##Type##Tensor_at(to, i) = (real)(formula);                                          \
    }                                                                                         \
  }

#define TH_EXTREME(Type, real, name, better)                              \
  static inline real TH##Type##Tensor_##name(const TH##Type##Tensor* t) { \
    ptrdiff_t n = TH##Type##Tensor_nElement(t);                           \
    THArgCheck(n > 0, 1, "the tensor is empty");                          \
    real best = *TH##Type##Tensor_at(t, 0);                               \
    for (ptrdiff_t i = 1; i < n; i++) {                                   \
      const real x = *TH##Type##Tensor_at(t, i);                          \
      if (x better best) best = x;                                        \
    }                                                                     \
    return best;                                                          \
  }

#define TH_FLOATING(Type, real)                                                                 \
  TH_WITH_VALUE(Type, real, pow, pow(x, value))                                                 \
  TH_OF_ONE(Type, real, sqrt)                                                                   \
  TH_OF_ONE(Type, real, exp)                                                                    \
  TH_OF_ONE(Type, real, log)                                                                    \
  TH_OF_ONE(Type, real, tanh)                                                                   \
  TH_OF_ONE(Type, real, fabs)                                                                   \
  static inline void TH##Type##Tensor_abs(TH##Type##Tensor* to, const TH##Type##Tensor* from) { \
    TH##Type##Tensor_fabs(to, from);                                                            \
  }

#define TH_OF_ONE(Type, real, name)                                                                \
  static inline void TH##Type##Tensor_##name(TH##Type##Tensor* to, const TH##Type##Tensor* from) { \
    TH##Type##Tensor_resizeAs(to, from);                                                           \
    ptrdiff_t n = TH##Type##Tensor_nElement(from);                                                 \
    for (ptrdiff_t i = 0; i < n; i++)                                                              \
      *TH##Type##Tensor_at(to, i) = (real)name(*TH##Type##Tensor_at(from, i));                     \
  }

TH_TENSOR(Byte, unsigned char, int64_t)
TH_TENSOR(Char, signed char, int64_t)
TH_TENSOR(Short, short, int64_t)
TH_TENSOR(Int, int, int64_t)
TH_TENSOR(Long, int64_t, int64_t)
TH_TENSOR(Float, float, double)
TH_TENSOR(Double, double, double)
TH_FLOATING(Float, float)
TH_FLOATING(Double, double)

#endif
