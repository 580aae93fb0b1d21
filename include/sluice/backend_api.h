/** @file
 * The table of functions that a device fills. Plain C, so that a module built by any compiler fits.
 *
 * Core calls devices through this table alone: the CPU fills one inside the library, and every libsluice-NAME.so found at
 * run time provides another. A module exports one symbol:
 *
 *     const sluice_backend* sluice_backend_entry(const sluice_host* host);
 *
 * Rules:
 *  - append-only: new slots go to the end; `api_version` changes only when an old slot changes its meaning;
 *  - core reads a slot only when `struct_size` covers it, and takes a null slot to mean "unsupported";
 *  - a slot returns a status and, on failure, writes one sentence with the numbers in it into its `sluice_message`;
 *  - no slot throws, prints, exits, or installs a signal handler; every slot may be called from any thread;
 *  - extents and strides count elements, sizes count bytes; core has checked shapes, dtypes and overflow before it calls.
 */
#ifndef SLUICE_BACKEND_API_H
#define SLUICE_BACKEND_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What `api_version` is in this header's tables. */
#define SLUICE_BACKEND_API_VERSION 1u
/** The most dimensions of an array, as sluice::max_rank. */
#define SLUICE_MAX_RANK 8

/** What happened. Core turns a failure into sluice::error with the same code. */
typedef enum sluice_status {
  SLUICE_OK = 0,               /**< done, or in order on the queue */
  SLUICE_INVALID_ARGUMENT = 1, /**< a value that the slot does not take */
  SLUICE_UNSUPPORTED = 2,      /**< well-formed, but not on this device */
  SLUICE_OUT_OF_MEMORY = 3,    /**< the device's memory, or a limit on it */
  SLUICE_DEVICE_LOST = 4,      /**< sticky: only a new process can use the device again */
  SLUICE_UNAVAILABLE = 5,      /**< no such device, or it refused to start */
  SLUICE_INTERNAL = 6          /**< a defect in the backend */
} sluice_status;

/** Element types, by value the same as sluice::dtype. f16 is IEEE binary16, bf16 the upper half of an IEEE binary32. */
typedef enum sluice_dtype {
  SLUICE_F64 = 0,  /**< 8 bytes */
  SLUICE_F32 = 1,  /**< 4 bytes */
  SLUICE_F16 = 2,  /**< 2 bytes */
  SLUICE_BF16 = 3, /**< 2 bytes */
  SLUICE_I64 = 4,  /**< 8 bytes */
  SLUICE_I32 = 5,  /**< 4 bytes */
  SLUICE_U8 = 6    /**< 1 byte */
} sluice_dtype;

/** Which of a device's memories. */
typedef enum sluice_memory_kind {
  SLUICE_MEMORY_DEVICE = 0, /**< where the device's operations read and write; for the CPU, host memory */
  SLUICE_MEMORY_PINNED = 1  /**< host memory that the device copies at full speed */
} sluice_memory_kind;

/** What a product may do to its inputs. */
typedef enum sluice_precision {
  SLUICE_PRECISION_STRICT = 0,      /**< the order of additions written in sluice/ops/matmul.hpp, bit for bit */
  SLUICE_PRECISION_TENSOR_CORE = 1, /**< as FAST; f32 may round its inputs to TF32, bf16 may lose denormals */
  SLUICE_PRECISION_FAST = 2         /**< sums in any order, in f32 (f64 for f64), rounded once */
} sluice_precision;

/** One sentence, zero-terminated. */
typedef struct sluice_message {
  char text[480]; /**< empty when there is nothing to say */
} sluice_message;

/** A strided array. Strides are zero or positive; a zero stride repeats. `data` is memory of the device of the queue it is
 * used with, except in `copy`, where either side may be host memory. */
typedef struct sluice_array {
  void* data;                       /**< the element whose indices are all 0 */
  int32_t dtype;                    /**< a sluice_dtype */
  int32_t rank;                     /**< at most SLUICE_MAX_RANK */
  int64_t extents[SLUICE_MAX_RANK]; /**< the first `rank` of them, the outermost first */
  int64_t strides[SLUICE_MAX_RANK]; /**< in elements; likewise */
} sluice_array;

/** A backend's description of a device. */
typedef struct sluice_device_info {
  char description[160]; /**< "NVIDIA H200, 132 SMs", "AMD EPYC, 2 threads, avx2" */
  uint64_t memory_total; /**< bytes; 0 when asking would initialise the device */
  uint64_t memory_free;  /**< bytes; likewise */
  int32_t awake;         /**< 1 once a context exists (always, for a CPU) */
  int32_t healthy;       /**< 0 after a sticky error */
  char state[160];       /**< why it is not healthy, else empty */
} sluice_device_info;

/** Counters of one pool. */
typedef struct sluice_memory_stats {
  uint64_t in_use;      /**< bytes handed out now */
  uint64_t pooled;      /**< bytes kept for reuse */
  uint64_t peak;        /**< most bytes handed out at once */
  uint64_t limit;       /**< bytes the pool may keep */
  uint64_t allocations; /**< calls served since start */
  uint64_t reused;      /**< of these, served from the pool */
} sluice_memory_stats;

/** A handle of the backend's: a queue runs its work in order. */
typedef struct sluice_queue sluice_queue;
/** A handle of the backend's: an event marks a point in a queue. */
typedef struct sluice_event sluice_event;

/** Functions and limits that core provides to a backend. It outlives every backend. */
typedef struct sluice_host {
  uint32_t api_version; /**< SLUICE_BACKEND_API_VERSION of the header it was built with */
  uint32_t struct_size; /**< bytes of this struct in that header */
  /** Threads that one parallel_for may use at once, the caller included. */
  int32_t (*parallel_size)(void);
  /** Calls body(context, i) once for every i in [0, count), on the process's one pool; returns when all are done. When
   * all threads are busy the caller waits, first come first served, so a call of count 1 acquires one core's worth of
   * compute. A call made inside a body runs there, in order. `body` must not throw. Once the caller's work is cancelled, no
   * further index is handed out: the slot returns as usual, and core discards its result. */
  void (*parallel_for)(int64_t count, void (*body)(void* context, int64_t index), void* context);
  /** level: 0 debug, 1 info, 2 warning, 3 error. `text` is one line. */
  void (*log)(int32_t level, const char* text);
  uint64_t host_pool_bytes;   /**< when the backend is entered: host memory a backend may keep for reuse */
  uint64_t pinned_pool_bytes; /**< likewise, pinned */
  uint64_t device_pool_bytes; /**< likewise, on each device; 0 for the backend's own default */
  int32_t queues_per_device;  /**< how many queue_acquire hands out at once */
} sluice_host;

/** Options of the op "canny". Thresholds are finite, in either order; an edge pixel's magnitude is above the lower one, and
 * its edge has a pixel whose magnitude is above the higher one. */
typedef struct sluice_canny_options {
  double low;   /**< a threshold */
  double high;  /**< the other */
  int32_t norm; /**< of a gradient: 1 for |dx| + |dy|, 2 for sqrt(dx^2 + dy^2) */
} sluice_canny_options;

/** Options of the op "resize". The result holds rows [top, top + rows) and columns [left, left + columns) of the image of
 * `height` x `width`. One of both may be 0: it is in proportion to the other, rounded down, 1 at least; both 0: the shorter
 * side is 256. */
typedef struct sluice_resize_options {
  int64_t height;  /**< of the resized image */
  int64_t width;   /**< likewise */
  int64_t top;     /**< the first row of the result */
  int64_t left;    /**< the first column of the result */
  int64_t rows;    /**< of the result; 0: all below `top` */
  int64_t columns; /**< of the result; 0: all to the right of `left` */
  int32_t filter;  /**< 0 or 1: bilinear */
  int32_t order;   /**< 0: the height first where it shrinks by more than twice as many pixels as the width; 1: the width */
} sluice_resize_options;

/** An op that core calls by name. `inputs` and `outputs` are contiguous, on the device, and do not overlap; core has checked
 * them against the op's descriptor. `options` are `options_size` bytes of the op's own type; null: the defaults. */
typedef sluice_status (*sluice_op)(int32_t device, sluice_queue* queue, const sluice_array* inputs, int32_t input_count,
                                   const sluice_array* outputs, int32_t output_count, const void* options,
                                   size_t options_size, sluice_message* message);

/** The table that a backend fills. `queue` may be null on a device whose `queue_acquire` is null: such a device has
 * completed every call when the call returns, and its event slots are null too. */
typedef struct sluice_backend {
  uint32_t api_version; /**< SLUICE_BACKEND_API_VERSION of the header it was built with */
  uint32_t struct_size; /**< bytes of this struct in that header */
  const char* name;     /**< "cpu", "cuda": lower-case letters and digits, at most 15 */

  /** Counts devices without initialising any. Zero is a refusal: `message` says why there is none. */
  sluice_status (*device_count)(int32_t* count, sluice_message* message);
  /** Describes a device without initialising it. */
  sluice_status (*device_info)(int32_t device, sluice_device_info* info, sluice_message* message);
  /** Initialises the device and tests it with one small operation. Null: nothing to do. Called before first use. */
  sluice_status (*device_wake)(int32_t device, sluice_message* message);

  /** Memory from a pool, aligned to 64 bytes at least and to a page from one page up. Zero bytes give a null pointer. */
  sluice_status (*allocate)(int32_t device, int32_t kind, size_t bytes, void** data, sluice_message* message);
  /** Releases memory. Core has waited for, or ordered, all work on it. Never fails. */
  void (*deallocate)(int32_t device, int32_t kind, void* data, size_t bytes);
  /** Counters of the pool of a memory, since start. */
  sluice_status (*memory_stats)(int32_t device, int32_t kind, sluice_memory_stats* stats, sluice_message* message);
  /** Returns pooled memory to the system. */
  void (*memory_trim)(int32_t device, int32_t kind);

  /** A queue from a bounded pool: blocks until one is free. */
  sluice_status (*queue_acquire)(int32_t device, sluice_queue** queue, sluice_message* message);
  /** Releases the queue; work enqueued on it still runs. */
  void (*queue_release)(int32_t device, sluice_queue* queue);

  /** An event, created once and recorded many times. */
  sluice_status (*event_create)(int32_t device, sluice_event** event, sluice_message* message);
  /** Destroys the event, signalled or not. Never fails. */
  void (*event_destroy)(int32_t device, sluice_event* event);
  /** The event now stands for the end of the work enqueued so far. */
  sluice_status (*event_record)(sluice_event* event, sluice_queue* queue, sluice_message* message);
  /** Work enqueued from now on waits for the event, on the device. */
  sluice_status (*queue_wait_event)(sluice_queue* queue, sluice_event* event, sluice_message* message);
  /** Waits for the event on the host. */
  sluice_status (*event_wait)(sluice_event* event, sluice_message* message);

  /** target = source, element by element, converting dtypes as C does (floats to integers saturate, NaN gives 0). Equal
   * extents, any strides. One side may be host memory. */
  sluice_status (*copy)(int32_t device, sluice_queue* queue, const sluice_array* target, const sluice_array* source,
                        sluice_message* message);
  /** Every element of target = value, converted to its dtype. */
  sluice_status (*fill)(int32_t device, sluice_queue* queue, const sluice_array* target, double value,
                        sluice_message* message);

  /** out = a x b. Rank 3 each: a [batch, m, k], b [batch, k, n], out [batch, m, n], contiguous; a batch stride of 0 repeats
   * an operand. One dtype of f64, f32, f16, bf16 for all. k == 0 gives zeros. `precision` is a sluice_precision. */
  sluice_status (*matmul)(int32_t device, sluice_queue* queue, const sluice_array* a, const sluice_array* b,
                          const sluice_array* out, int32_t precision, sluice_message* message);
  /** out[r] = the sum of row r, in the order written in sluice/ops/rowsum.hpp. a [rows, columns] with any strides,
   * out [rows] with any stride. out's dtype is f32 for f32, f16, bf16; f64 for f64; i64 for integers; or f64 for f32, f16,
   * bf16, which leaves the sum unrounded, as the joining of parts of a row needs it (NaN made canonical all the same). */
  sluice_status (*rowsum)(int32_t device, sluice_queue* queue, const sluice_array* a, const sluice_array* out,
                          sluice_message* message);

  /** Optional: `deallocate` for memory with pending work. The memory is reused only after the `count` events have passed;
   * the call does not block. The events may be destroyed on return. Never fails. */
  void (*deallocate_after)(int32_t device, int32_t kind, void* data, size_t bytes, sluice_event* const* events,
                           int32_t count);

  /** Optional: the op of that name; null when the backend has none. The function stays valid as long as the table. */
  sluice_op (*find_op)(const char* name);
} sluice_backend;

/** What a module exports as `sluice_backend_entry`. The table lives as long as the process; null is a refusal. */
typedef const sluice_backend* (*sluice_backend_entry_function)(const sluice_host* host);

#ifdef __cplusplus
}
#endif

#endif /* SLUICE_BACKEND_API_H */
