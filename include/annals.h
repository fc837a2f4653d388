/**
 * @file annals.h
 *
 * Annals, an embedded event store: a durable, append-only log of immutable events in one directory,
 * linked into your program. What SQLite is to tables, Annals is to events.
 *
 * @code{.c}
 * #include <annals.h>
 * #include <stdio.h>
 *
 * int main(void) {
 *   annals_store *store = NULL;
 *   annals_error *error = NULL;
 *   annals_status rc = annals_open("orders.annals", ANNALS_NUL_TERMINATED, NULL, &store, &error);
 *
 *   if (rc == ANNALS_OK) {
 *     static const uint8_t data[] = "{\"sku\": \"tea\"}";
 *     annals_new_event event = ANNALS_NEW_EVENT_INIT;
 *     uint64_t position = 0;
 *     event.type = "ItemAdded";
 *     event.type_len = ANNALS_NUL_TERMINATED;
 *     event.data = data;
 *     event.data_len = sizeof data - 1;
 *     rc = annals_append(store, "order-7", ANNALS_NUL_TERMINATED, ANNALS_EXPECT_ANY, &event, 1,
 *                        &position, NULL, &error);
 *   }
 *   if (rc == ANNALS_OK) {
 *     const annals_event *event = NULL;
 *     annals_iter *iter = NULL;
 *     rc = annals_read_stream(store, "order-7", ANNALS_NUL_TERMINATED, NULL, &iter, &error);
 *     while (rc == ANNALS_OK && (rc = annals_iter_next(iter, &event, &error)) == ANNALS_OK) {
 *       printf("%d %s %.*s\n", (int)event->version, event->type, (int)event->data_len,
 *              (const char *)event->data);
 *     }
 *     annals_iter_free(iter);
 *   }
 *   if (rc < 0) {
 *     fprintf(stderr, "%s\n", annals_error_message(error, NULL));
 *     annals_error_free(error);
 *     error = NULL;
 *   }
 *   if (annals_close(store, &error) < 0) {
 *     fprintf(stderr, "%s\n", annals_error_message(error, NULL));
 *     annals_error_free(error);
 *     rc = ANNALS_E_IO;
 *   }
 *   return rc < 0;
 * }
 * @endcode
 *
 * Conventions that hold for every function:
 *
 * - **Results.** A function that can fail returns an annals_status: a negative value is an error, 0
 *   is success, a positive value is a normal outcome such as ANNALS_DONE. `rc < 0` is the only
 *   error check you need. The last argument, `err`, receives an error object that says what went
 *   wrong; free it with annals_error_free. `err` may be NULL. When memory runs out, an error may
 *   come without an object.
 * - **Outputs** (`out_*`, `err`) are set to NULL or 0 on entry and never read. On an error only
 *   `err` receives a value, otherwise only the other outputs do. Imports and exports are an
 *   exception: after an error they still report how much was done.
 * - **Objects** are opaque, and each type has one function that frees it. Freeing NULL is a no-op.
 *   A function that gets a pointer to the wrong kind of object returns ANNALS_E_MISUSE. A freed
 *   pointer is often detected too; do not rely on it. An object made from a store may outlive the
 *   store: functions that read or write through it then return ANNALS_E_CLOSED, and it must still
 *   be freed. Tickets keep their outcomes, and snapshots their bytes.
 * - **Memory.** The library copies its inputs before it returns; it keeps no pointer to them,
 *   except registered callbacks and their `user_data`. It hands out only objects and views, so
 *   there is nothing else to free. A view, such as an annals_event, is valid until the next call on
 *   the object that it came from, or until that object is freed. A view passed to a callback is
 *   valid until the callback returns.
 * - **Strings** are UTF-8, passed as a pointer and a length in bytes. The length
 *   ANNALS_NUL_TERMINATED means that the string ends at its first NUL. (NULL, 0) is the empty
 *   string; NULL with any other length is ANNALS_E_INVALID_ARGUMENT. Strings that the library
 *   returns also end with a NUL, which their length does not count.
 * - **Structs** that the caller fills in start with `struct_size`. The struct of a program compiled
 *   with an older header lacks the newest fields: they get their defaults. If a program compiled
 *   with a newer header sets a field that the library does not know, it gets ANNALS_E_UNSUPPORTED.
 * - **Numbers.** Positions and versions count from 1; 0 means "nothing yet".
 * - **Flags and kinds.** Unknown values are rejected with ANNALS_E_INVALID_ARGUMENT, never ignored.
 * - **Threads.** Every function may be called from any thread, and every object may move between
 *   threads. A function whose first argument points to a const object is thread-safe: any number of
 *   threads may call it on the same object at once. Every other function needs exclusive access to
 *   its object ("one call at a time") and returns ANNALS_E_BUSY if another call is using it. Before
 *   you free or close an object, make sure that no other thread will use it.
 * - **Callbacks** get `user_data` as their first argument. Most return 0 to continue, a positive
 *   value to stop, a negative value to fail. They may use the store, but annals_close returns
 *   ANNALS_E_BUSY there and leaves the store open. They run on the thread of the call, with no lock
 *   held. The callbacks of live projections and of upcasters differ, as described there. A callback
 *   must not throw or longjmp; an exception that leaves it ends the process.
 * - **Destructors** (`destroy`) receive `user_data` exactly once, after the last call of their
 *   callback, possibly on another thread; also when the registration fails.
 * - **Forks.** A child process must not use stores that its parent opened, nor objects made from
 *   them: every call returns ANNALS_E_FORKED, and closing and freeing only release memory. While
 *   such a child lives, the parent may be unable to reopen a store that was open at the fork. Fork
 *   before you open a store.
 * - **Panics.** If a bug makes the library panic, the panic is caught and returned as
 *   ANNALS_E_PANIC, and Rust's runtime prints a message on standard error. From then on every call
 *   on the store in use returns ANNALS_E_PANIC; closing and freeing still release its objects. A
 *   library that was built with panic=abort ends the process instead.
 * - **The process.** The library itself never prints and never ends the process. It installs no
 *   handler, reads no environment variable, and starts at most two threads per store. The shared
 *   library stays loaded after dlclose. Link it instead of the static one if the program also links
 *   another static library that is written in Rust.
 */

#ifndef ANNALS_H
#define ANNALS_H

/* Generated by cbindgen from src/ffi: make changes there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header. annals_version_number returns that of the library. */
#define ANNALS_VERSION_MAJOR 0
/** See ANNALS_VERSION_MAJOR. */
#define ANNALS_VERSION_MINOR 1
/** See ANNALS_VERSION_MAJOR. */
#define ANNALS_VERSION_PATCH 0
/** The version as one number that can be compared: major * 1000000 + minor * 1000 + patch. */
#define ANNALS_VERSION_NUMBER 1000
/** The version as a string. */
#define ANNALS_VERSION_STRING "0.1.0"

/** As the length of a string: it ends at its first NUL. Not for data and metadata (bytes). */
#define ANNALS_NUL_TERMINATED SIZE_MAX

/**
 * True if the library at run time fits the header that the program was compiled with: it has the
 * same ABI and all functions of the header.
 */
#define ANNALS_CHECK_VERSION() \
  (annals_abi_version() == ANNALS_ABI_VERSION && annals_version_number() >= ANNALS_VERSION_NUMBER)

/**
 * Precedes every function. It is empty, unless you define ANNALS_DLL to import the functions from a
 * Windows DLL, or define ANNALS_API yourself.
 */
#ifndef ANNALS_API
#if defined(_WIN32) && defined(ANNALS_DLL)
#define ANNALS_API __declspec(dllimport)
#else
#define ANNALS_API
#endif
#endif

/**
 * Marks functions whose result must be used. To turn the warnings off, define it as nothing before
 * you include this header.
 */
#ifndef ANNALS_NODISCARD
#if defined(__GNUC__) || defined(__clang__)
#define ANNALS_NODISCARD __attribute__((warn_unused_result))
#elif defined(_MSC_VER)
#define ANNALS_NODISCARD _Check_return_
#else
#define ANNALS_NODISCARD
#endif
#endif

/** Marks every function: none of them throws. */
#ifndef ANNALS_NOEXCEPT
#if defined(__cplusplus) && (__cplusplus >= 201103L || defined(_MSC_VER))
#define ANNALS_NOEXCEPT noexcept
#else
#define ANNALS_NOEXCEPT
#endif
#endif

/** An annals_new_event with struct_size set and everything else empty. */
#define ANNALS_NEW_EVENT_INIT \
  { sizeof(annals_new_event), 0, NULL, NULL, 0, NULL, 0, NULL, 0, 0, 0, NULL, 0 }

/** An annals_unit with struct_size set, ANNALS_EXPECT_ANY, and everything else empty. */
#define ANNALS_UNIT_INIT \
  { sizeof(annals_unit), NULL, 0, ANNALS_EXPECT_ANY, NULL, 0 }

/**
 * The version of the ABI that this header describes. A library with another ABI version does not
 * fit the program: see ANNALS_CHECK_VERSION.
 */
#define ANNALS_ABI_VERSION 2

/** The data of the event is bytes, not JSON. */
#define ANNALS_EVENT_BINARY 1

/** The event has an id. */
#define ANNALS_EVENT_HAS_ID 2

/** The new event has a timestamp. Without it, the store uses the time of the append, in UTC. */
#define ANNALS_EVENT_HAS_TIMESTAMP 4

/** As an offset from UTC: the time was written without a zone. It is treated as UTC. */
#define ANNALS_OFFSET_NAIVE INT32_MIN

/** An append returns once its events survive a power cut. This is the default. */
#define ANNALS_DURABILITY_SYNC 0

/**
 * An append returns once its events are ordered and visible to readers in this process. A crash of
 * the operating system may lose the appends of the last `max_delay_ms`, always whole appends from
 * the end of the log; a crash of this process alone loses none. annals_flush makes all of them
 * durable.
 */
#define ANNALS_DURABILITY_BUFFERED 1

/** As an expected version: any version. Nothing is checked. */
#define ANNALS_EXPECT_ANY UINT64_MAX

/** As an expected version: the stream has at least one event. */
#define ANNALS_EXPECT_STREAM_EXISTS (UINT64_MAX - 1)

/** As an expected version: the stream has no events. */
#define ANNALS_EXPECT_NO_STREAM 0

/** Up to the last event. `up_to` must be 0. */
#define ANNALS_UP_TO_NOW 0

/** Up to a version of the stream, inclusive. */
#define ANNALS_UP_TO_VERSION 1

/** Up to a position of the store, inclusive. */
#define ANNALS_UP_TO_POSITION 2

/**
 * All events with this timestamp or an earlier one, wherever they are in the stream: microseconds
 * since the Unix epoch, an int64_t cast to uint64_t. Times without a zone are treated as UTC.
 */
#define ANNALS_UP_TO_TIMESTAMP 3

/**
 * Import mode: each event_id must follow the store's head, so that every event keeps its position.
 */
#define ANNALS_IMPORT_FAITHFUL 0

/**
 * Import mode: events get new positions; event_id is ignored and may be missing. Their ids are
 * kept: if all events of a batch have one, a repeated import of the same file skips the batches
 * that are already stored.
 */
#define ANNALS_IMPORT_APPEND 1

/**
 * Import mode: events at or below the store's head are compared with the stored ones and skipped;
 * a difference is an error. Later events are treated as with ANNALS_IMPORT_FAITHFUL.
 */
#define ANNALS_IMPORT_RESUME 2

/**
 * Import flag: ignore a last line that has no line end and is not JSON, such as one left by a
 * crash of its writer. Without the flag it is an error.
 */
#define ANNALS_IMPORT_DROP_TORN_TAIL 1

/**
 * As a flag of annals_repair: repair the store. Without it nothing is changed, and the reported
 * steps are a plan.
 */
#define ANNALS_REPAIR_APPLY 1

/**
 * As a flag of annals_repair, together with ANNALS_REPAIR_APPLY: remove what earlier repairs have
 * set aside, except the first and the newest copy of each file.
 */
#define ANNALS_REPAIR_DISCARD_EVIDENCE 2

/**
 * An atomic unit that is being built: events for any number of streams, requirements, conditions
 * and checkpoints. See annals_batch_commit.
 */
typedef struct annals_batch annals_batch;

/**
 * Why a call failed. An error object is immutable, belongs to the caller, may be used on any
 * thread, and may outlive the store. Free it with annals_error_free.
 */
typedef struct annals_error annals_error;

/**
 * An iterator over events. It sees the events that existed when it was created, whatever is
 * appended meanwhile. It holds no lock and a bounded amount of memory.
 */
typedef struct annals_iter annals_iter;

/**
 * Options for annals_open, which may use them any number of times. They are created by
 * annals_options_new and freed by annals_options_free.
 */
typedef struct annals_options annals_options;

/**
 * A projection: callbacks that receive the events of their types in the order of positions, and
 * the position of the last event. The state that the callbacks derive belongs to the caller.
 *
 * At first a projection advances only in annals_projection_catch_up. After annals_projection_live
 * it follows every append.
 */
typedef struct annals_projection annals_projection;

/** Selects events: an event matches the query if it matches any of its items. */
typedef struct annals_query annals_query;

/**
 * What to read. Read options are created by annals_read_options_new, used by annals_read_stream,
 * annals_read_all, annals_query_read or annals_subscribe any number of times, and freed by
 * annals_read_options_free.
 */
typedef struct annals_read_options annals_read_options;

/** A loaded snapshot. It may outlive the store, and stays usable after the store is closed. */
typedef struct annals_snapshot annals_snapshot;

/** An open event store. It is thread-safe; only annals_close needs exclusive access. */
typedef struct annals_store annals_store;

/**
 * An iterator over the streams of a store as they were when it was created, in byte order of their
 * ids.
 */
typedef struct annals_stream_iter annals_stream_iter;

/**
 * A subscription: it delivers stored events and then new ones as they are appended, without gaps
 * or repeats. It reads from the store, so a slow reader delays no writer and uses little memory.
 */
typedef struct annals_subscription annals_subscription;

/** The outcome of a submitted batch. A ticket may outlive its batch and its store. */
typedef struct annals_ticket annals_ticket;

/**
 * The result of a call. Negative: an error. 0: success. Positive: a normal outcome other than the
 * usual one. Later versions may add values of either sign, so check for errors with `rc < 0`.
 */
typedef int32_t annals_status;

/**
 * A string in an array: UTF-8. In arguments the length may be ANNALS_NUL_TERMINATED. In results
 * the string also ends with a NUL, which the length does not count.
 */
typedef struct annals_string {
  /** The bytes. */
  const char *ptr;
  /** The length in bytes. */
  size_t len;
} annals_string;

/**
 * A recorded event: a view into memory that the library owns. Each function that returns one says
 * how long it is valid. Its layout is fixed within an ABI version.
 */
typedef struct annals_event {
  /** The position in the whole store: 1, 2, 3, without gaps. */
  uint64_t position;
  /** The version, its place in the stream: 1, 2, 3, without gaps. */
  uint64_t version;
  /** When the event happened, in microseconds since the Unix epoch. */
  int64_t timestamp_us;
  /** The offset with which the time was written: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE. */
  int32_t utc_offset_minutes;
  /** ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID. */
  uint32_t flags;
  /** The id if `flags` has ANNALS_EVENT_HAS_ID, otherwise zeros. */
  uint8_t id[16];
  /** The stream id: UTF-8 that also ends with a NUL, which the length does not count. */
  const char *stream;
  /** The length of the stream id in bytes. */
  size_t stream_len;
  /** The event type: UTF-8 that also ends with a NUL, which the length does not count. */
  const char *type;
  /** The length of the event type in bytes. */
  size_t type_len;
  /** The data, byte for byte as it was appended. No NUL follows it. */
  const uint8_t *data;
  /** The length of the data in bytes. */
  size_t data_len;
  /** The metadata: the text of a JSON object, or NULL if there is none. No NUL follows it. */
  const uint8_t *metadata;
  /** The length of the metadata in bytes; 0 if there is none. */
  size_t metadata_len;
  /** The tags, sorted by their bytes, without repeats; NULL if there are none. */
  const struct annals_string *tags;
  /** The number of tags. */
  size_t tag_count;
} annals_event;

/**
 * Receives bytes of an export, which are valid until the callback returns.
 *
 * The callback returns 0 to continue, a positive value to stop after it has taken these bytes (the
 * export then returns ANNALS_DONE), or a negative value to fail (the export then returns
 * ANNALS_E_CALLBACK). It runs on the thread of the call, with no lock held. It may use the store,
 * but must not close it. It must not throw or longjmp.
 */
typedef int32_t (*annals_write_fn)(void *user_data, const uint8_t *data, size_t len);

/**
 * Converts the data of an event to the shape of the next schema version. The event contains the
 * data as the previous steps have converted it. It is valid until the callback returns.
 *
 * The callback passes the new data, the text of a JSON value, to `write(writer, data, len)`, in
 * one or several calls. `write` returns 0, or a negative status, which then makes the read fail.
 * If the callback does not call it, the data stays as it is. `write` and `writer` must not be used
 * after the callback returns.
 *
 * The callback runs on any thread that reads, and on several at once. It must not use the store.
 * It must not throw or longjmp.
 *
 * @return 0 if the event is converted; any other value makes the read fail with ANNALS_E_CALLBACK.
 */
typedef int32_t (*annals_upcast_fn)(void *user_data,
                                    const struct annals_event *event,
                                    annals_write_fn write,
                                    void *writer);

/**
 * Takes ownership of user data back: called once, after the last call of the callback with that
 * data. It must not use the object with which the callback was registered.
 */
typedef void (*annals_destroy_fn)(void *user_data);

/**
 * An event to append. Start with ANNALS_NEW_EVENT_INIT, which sets struct_size and leaves the rest
 * empty. Everything that it points to is copied before the call returns.
 */
typedef struct annals_new_event {
  /** sizeof(annals_new_event), the same for all events of an array. */
  size_t struct_size;
  /**
   * ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_TIMESTAMP. ANNALS_EVENT_HAS_ID is not needed: `id`
   * alone says whether there is an id. With it, a NULL `id` is ANNALS_E_INVALID_ARGUMENT.
   */
  uint32_t flags;
  /**
   * 16 bytes (a UUID), or NULL for none. If every event has an id, a retry of the append is
   * safe.
   */
  const uint8_t *id;
  /** The event type: 1 to 255 bytes of UTF-8 without NUL. */
  const char *type;
  /** Its length in bytes, or ANNALS_NUL_TERMINATED. */
  size_t type_len;
  /** The text of a JSON value, kept byte for byte; with ANNALS_EVENT_BINARY any bytes. */
  const uint8_t *data;
  /** The length of the data in bytes. */
  size_t data_len;
  /** The text of a JSON object, or NULL for none. */
  const uint8_t *metadata;
  /** The length of the metadata in bytes; 0 for none. */
  size_t metadata_len;
  /**
   * With ANNALS_EVENT_HAS_TIMESTAMP: when the event happened, in microseconds since the Unix
   * epoch.
   */
  int64_t timestamp_us;
  /** With ANNALS_EVENT_HAS_TIMESTAMP: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE. */
  int32_t utc_offset_minutes;
  /**
   * The tags in any order, each 1 to 255 bytes of UTF-8 without NUL; NULL for none. Repeats are
   * ignored.
   */
  const struct annals_string *tags;
  /** The number of tags: at most 1000 different ones; 0 for none. */
  size_t tag_count;
} annals_new_event;

/** The part of an annals_append_multi that concerns one stream. Start with ANNALS_UNIT_INIT. */
typedef struct annals_unit {
  /** sizeof(annals_unit), the same for all units of an array. */
  size_t struct_size;
  /** The stream id: 1 to 255 bytes of UTF-8 without NUL. */
  const char *stream;
  /** Its length in bytes, or ANNALS_NUL_TERMINATED. */
  size_t stream_len;
  /** The expected version of the stream: see annals_append. */
  uint64_t expected_version;
  /** The events to append; NULL to only check the version of the stream. */
  const struct annals_new_event *events;
  /** The number of events; 0 to only check the version. */
  size_t event_count;
} annals_unit;

/**
 * Receives an event, which is valid until the callback returns.
 *
 * @return 0 to continue; a positive value to stop after this event; a negative value to fail at
 * this event.
 */
typedef int32_t (*annals_event_fn)(void *user_data, const struct annals_event *event);

/**
 * Receives the bytes of a snapshot, which are valid until the callback returns.
 *
 * @return 0 if the state is restored from the bytes; a positive value to ignore the snapshot; a
 * negative value to fail.
 */
typedef int32_t (*annals_restore_fn)(void *user_data,
                                     uint64_t position,
                                     const uint8_t *data,
                                     size_t len);

/**
 * Supplies bytes to an import: writes at most `capacity` bytes to `buffer` and their number to
 * `*out_len`, which is 0 on entry. Leaving it 0 ends the input.
 *
 * The callback returns 0 to continue, a positive value to end the input after these bytes (the
 * import then returns ANNALS_DONE), or a negative value to fail (the import then returns
 * ANNALS_E_CALLBACK). It runs on the thread of the call, with no lock held. It may use the store,
 * but must not close it. It must not throw or longjmp.
 */
typedef int32_t (*annals_read_fn)(void *user_data,
                                  uint8_t *buffer,
                                  size_t capacity,
                                  size_t *out_len);

/**
 * Receives a finding of annals_verify, annals_repair or annals_salvage: its message says what is
 * wrong and where. The library owns the error object; it is valid until the callback returns.
 *
 * The callback returns 0 to continue, a positive value to stop (the call then returns
 * ANNALS_DONE), or a negative value to fail (the call then returns ANNALS_E_CALLBACK). It runs on
 * the thread of the call, with no lock held. It may use the store, but must not close it. It must
 * not throw or longjmp.
 */
typedef int32_t (*annals_finding_fn)(void *user_data, const struct annals_error *finding);

/** Success. */
#define ANNALS_OK 0

/** Nothing is left: the iterator has ended, or a callback asked to stop. */
#define ANNALS_DONE 1

/** Nothing with that name or number exists. */
#define ANNALS_NOT_FOUND 2

/** Nothing happened within the given time. */
#define ANNALS_TIMEOUT 3

/**
 * The append was an exact retry, recognized by its event ids: the events were already stored, and
 * nothing was written. The outputs are those of the first call.
 */
#define ANNALS_ALREADY_STORED 4

/** An argument is invalid. This is a bug in the caller. */
#define ANNALS_E_INVALID_ARGUMENT -1

/**
 * A pointer does not point to what the function takes, but for example to another kind of object
 * or to one that was freed. This is a bug in the caller.
 */
#define ANNALS_E_MISUSE -2

/** The store was closed. Objects made from it must still be freed. */
#define ANNALS_E_CLOSED -3

/**
 * Another call is using the object: on another thread, or the call that runs this callback. Or the
 * call would have to wait for the callback that makes it. Nothing was done; the object is
 * unchanged.
 */
#define ANNALS_E_BUSY -4

/**
 * This process is a forked child, and the store belongs to its parent. Freeing and closing only
 * release memory; they touch no file.
 */
#define ANNALS_E_FORKED -5

/** The call uses something that this version of the library does not know. Upgrade the library. */
#define ANNALS_E_UNSUPPORTED -6

/** A limit is exceeded; the message says which, and by how much. Split or shorten the input. */
#define ANNALS_E_LIMIT -7

/** The store is open for reading only: see annals_reader_open. */
#define ANNALS_E_READ_ONLY -8

/**
 * The stream is not at the expected version. Nothing was written: read the stream again and make a
 * new decision. See annals_error_versions.
 */
#define ANNALS_E_VERSION_CONFLICT -20

/** An event id is already in use, and the append is not an exact retry. Nothing was written. */
#define ANNALS_E_DUPLICATE_ID -21

/**
 * An event matches that a condition of the batch excludes. Nothing was written: query again and
 * make a new decision. See annals_error_condition.
 */
#define ANNALS_E_CONDITION -22

/** An operating system call failed: see annals_error_os_code. */
#define ANNALS_E_IO -40

/** The disk is full. Nothing was written, and the store stays usable: free some space and retry. */
#define ANNALS_E_NO_SPACE -41

/** The store is already open, in this process or in another one. */
#define ANNALS_E_LOCKED -42

/** There is not enough memory. Nothing was done. */
#define ANNALS_E_NO_MEMORY -43

/**
 * A write or sync failed, in this call or an earlier one, so it is unknown how much of it reached
 * the disk. The store accepts no more writes until it is reopened; reads continue. The outcome of
 * the call that failed is unknown: reopen the store, then check the event ids or the version of
 * the stream.
 */
#define ANNALS_E_POISONED -44

/**
 * Stored bytes differ from what was written. None of them were returned. Keep a copy of the
 * directory, then run `annals verify`.
 */
#define ANNALS_E_CORRUPT -60

/**
 * This version of the library cannot read the files: a newer version wrote them (upgrade the
 * library), or one that was never released.
 */
#define ANNALS_E_FORMAT -61

/** The input is malformed: see annals_error_line. */
#define ANNALS_E_PARSE -62

/** A callback of the caller failed: see annals_error_callback_code. */
#define ANNALS_E_CALLBACK -80

/**
 * The library panicked, and the panic was caught. From now on every call on the store in use
 * returns this status: close the store and open it again. Please report the message.
 */
#define ANNALS_E_PANIC -98

/**
 * A bug: the library contradicts itself or makes no progress. This does not mean that stored bytes
 * are damaged. Please report the message. As with ANNALS_E_PANIC, any call that can fail may
 * return it.
 */
#define ANNALS_E_INTERNAL -99

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library at run time, such as "0.1.0": its own ANNALS_VERSION_STRING.
 *
 * @return A static string.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const char *annals_version(void)
ANNALS_NOEXCEPT;

/**
 * Returns the version of the library at run time as a number: major * 1000000 + minor * 1000 +
 * patch.
 *
 * @return The library's own ANNALS_VERSION_NUMBER.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API uint32_t annals_version_number(void) ANNALS_NOEXCEPT;

/**
 * Returns the ABI version of the library at run time.
 *
 * @return The library's own ANNALS_ABI_VERSION.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API uint32_t annals_abi_version(void) ANNALS_NOEXCEPT;

/**
 * Returns the name of a status, such as "ANNALS_E_VERSION_CONFLICT".
 *
 * @param status Any value.
 * @return A static string, never NULL. A value that this version of the library does not know is
 * "ANNALS_E_UNKNOWN" if it is negative, otherwise "ANNALS_UNKNOWN".
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const char *annals_status_name(int32_t status)
ANNALS_NOEXCEPT;

/**
 * Returns a short description of a status. An error object says more: see annals_error_message.
 *
 * @param status Any value.
 * @return A static string, never NULL.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API const char *annals_status_message(int32_t status) ANNALS_NOEXCEPT;

/**
 * Returns the status that the failed call returned.
 *
 * @param error An error object, or NULL.
 * @return The status; ANNALS_OK for NULL.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API annals_status annals_error_status(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * Returns a message: what failed, with the values involved, on one line without a full stop.
 *
 * @param error An error object, or NULL.
 * @param out_len_or_null Receives the length of the message in bytes, without its NUL. May be
 * NULL.
 * @return UTF-8 that ends with a NUL; a NUL inside it shows as U+FFFD. Valid until the error
 * object is freed; "" for NULL.
 *
 * Ownership: the error object owns the text. Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const char *annals_error_message(const struct annals_error *error,
                                 size_t *out_len_or_null)
ANNALS_NOEXCEPT;

/**
 * Returns the error number of the operating system (errno on POSIX systems).
 *
 * @param error An error object, or NULL.
 * @return The number; 0 if there is none.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API int32_t annals_error_os_code(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * Returns the versions of an ANNALS_E_VERSION_CONFLICT: those of the first violated check.
 *
 * @param error An error object, or NULL.
 * @param out_expected Receives the expected version, or a constant such as
 * ANNALS_EXPECT_STREAM_EXISTS. May be NULL.
 * @param out_actual Receives the actual version of the stream. May be NULL.
 * @return True if the error is a version conflict; otherwise both outputs are 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_versions(const struct annals_error *error,
                           uint64_t *out_expected,
                           uint64_t *out_actual)
ANNALS_NOEXCEPT;

/**
 * Returns how many version checks were violated. An append of several units or a batch reports all
 * of them.
 *
 * @param error An error object, or NULL.
 * @return The count; 0 if the error is not a version conflict.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
size_t annals_error_conflict_count(const struct annals_error *error)
ANNALS_NOEXCEPT;

/**
 * Returns one violated version check. They are in the order of the units or calls.
 *
 * @param error An error object, or NULL.
 * @param index From 0 to annals_error_conflict_count - 1.
 * @param out_stream Receives the stream id, which also ends with a NUL and is valid until the
 * error object is freed. May be NULL.
 * @param out_len Receives the length of the stream id in bytes. May be NULL.
 * @param out_expected Receives the expected version, as in annals_error_versions. May be NULL.
 * @param out_actual Receives the actual version of the stream. May be NULL.
 * @return True if there is such a check; otherwise the outputs are NULL and 0.
 *
 * Ownership: the error object owns the text. Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_conflict(const struct annals_error *error,
                           size_t index,
                           const char **out_stream,
                           size_t *out_len,
                           uint64_t *out_expected,
                           uint64_t *out_actual)
ANNALS_NOEXCEPT;

/**
 * Returns which entry of the batch a violated version check belongs to.
 *
 * @param error An error object, or NULL.
 * @param index From 0 to annals_error_conflict_count - 1.
 * @param out_which Receives the index of the annals_batch_append or annals_batch_require call,
 * counted from 0 over both; for annals_append_multi, the index of the unit. May be NULL.
 * @return True if there is such a check; otherwise the output is 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_conflict_which(const struct annals_error *error,
                                 size_t index,
                                 size_t *out_which)
ANNALS_NOEXCEPT;

/**
 * Returns how many conditions of the batch were violated. An ANNALS_E_VERSION_CONFLICT may have
 * some, too.
 *
 * @param error An error object, or NULL.
 * @return The count; 0 for NULL and for errors of other kinds.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
size_t annals_error_condition_count(const struct annals_error *error)
ANNALS_NOEXCEPT;

/**
 * Returns one violated condition of a batch. They are in the order of the calls.
 *
 * @param error An error object, or NULL.
 * @param index From 0 to annals_error_condition_count - 1.
 * @param out_which Receives the index of the annals_batch_require_none call, counted from 0. May
 * be NULL.
 * @param out_position Receives the position of the first match after the condition's `after`. May
 * be NULL.
 * @return True if there is such a condition; otherwise the outputs are 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_condition(const struct annals_error *error,
                            size_t index,
                            size_t *out_which,
                            uint64_t *out_position)
ANNALS_NOEXCEPT;

/**
 * Returns where in its input an import failed.
 *
 * @param error An error object, or NULL.
 * @param out_line Receives the line, counted from 1. May be NULL.
 * @param out_column Receives the byte within the line, counted from 1; 0 if only the line is
 * known. May be NULL.
 * @return True if the line is known; otherwise both outputs are 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_line(const struct annals_error *error,
                       uint64_t *out_line,
                       uint64_t *out_column)
ANNALS_NOEXCEPT;

/**
 * Returns the value with which a callback made the call fail with ANNALS_E_CALLBACK.
 *
 * @param error An error object, or NULL.
 * @return The value: negative, or anything but 0 from an upcaster. 0 if no callback failed.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API int32_t annals_error_callback_code(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * Frees an error object and every text obtained from it.
 *
 * @param error An error object. NULL is a no-op. So is an error that the library passed to a
 * callback: the library owns it.
 *
 * Threads: any; no other thread may be using the error. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_error_free(struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * Creates options with the defaults: ANNALS_DURABILITY_SYNC, a cache of 64 MiB, and a store is
 * created if there is none.
 *
 * @return The options; NULL only if there is not enough memory.
 *
 * Ownership: the caller frees them with annals_options_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_options *annals_options_new(void) ANNALS_NOEXCEPT;

/**
 * Frees options. Stores that were opened with them are not affected.
 *
 * @param options The options. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the options. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_options_free(struct annals_options *options) ANNALS_NOEXCEPT;

/**
 * Sets at what point an append returns.
 *
 * @param options The options.
 * @param durability ANNALS_DURABILITY_SYNC or ANNALS_DURABILITY_BUFFERED.
 * @param max_delay_ms The longest time in milliseconds that a buffered event waits for its sync:
 * above 0 with ANNALS_DURABILITY_BUFFERED (10 is a good value), 0 with ANNALS_DURABILITY_SYNC.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_durability(struct annals_options *options,
                                            uint32_t durability,
                                            uint32_t max_delay_ms)
ANNALS_NOEXCEPT;

/**
 * Sets the approximate memory use of the store's page cache.
 *
 * @param options The options.
 * @param bytes The size in bytes; anything below 1 MiB means 1 MiB.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_cache_bytes(struct annals_options *options,
                                             uint64_t bytes)
ANNALS_NOEXCEPT;

/**
 * Sets whether annals_open creates a store if there is none.
 *
 * @param options The options.
 * @param create If false, opening a missing store fails with ANNALS_E_IO and the os code ENOENT.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_create(struct annals_options *options,
                                        bool create)
ANNALS_NOEXCEPT;

/**
 * Sets whether annals_open rebuilds unusable trees from the journal; see annals_recovery.
 *
 * @param options The options.
 * @param rebuild True, the default: rebuild them. False: fail with ANNALS_E_CORRUPT and change
 * nothing.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_rebuild(struct annals_options *options,
                                         bool rebuild)
ANNALS_NOEXCEPT;

/**
 * Sets how long annals_open waits if the store is already open, before it returns ANNALS_E_LOCKED.
 *
 * @param options The options.
 * @param milliseconds The time. The default is 0: do not wait.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_wait_ms(struct annals_options *options,
                                         uint32_t milliseconds)
ANNALS_NOEXCEPT;

/**
 * Adds an upcaster: a step that converts the data of one event type from a schema version to the
 * next one. It applies to every function that reads events, and before the callbacks of
 * projections. What is stored, exported and backed up stays as it is.
 *
 * The schema version of an event is the number `schema_version` in its metadata, or 1 without it.
 * The first step of a type may start at any version; each further step must start where the
 * previous one ended. Binary data is not converted. If callbacks of a projection rely on the new
 * shape, the projection needs a new version: see annals_projection_set_version.
 *
 * @param options The options. Stores that are opened with them from now on use the step; stores
 * that are already open do not.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param from_version The schema version that the step converts: 1 to UINT32_MAX - 1.
 * @param upcast Converts an event.
 * @param user_data Passed to `upcast`.
 * @param destroy Receives `user_data` once the options, every store opened with them, and
 * everything made from those stores are freed; or if this call fails. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT, also if the step does not start where the previous
 * one ended; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Ownership: takes ownership of `user_data`, and gives it back through `destroy`, exactly once.
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_add_upcaster(struct annals_options *options,
                                          const char *type,
                                          size_t len,
                                          uint32_t from_version,
                                          annals_upcast_fn upcast,
                                          void *user_data,
                                          annals_destroy_fn destroy)
ANNALS_NOEXCEPT;

/**
 * Opens the store in a directory; if there is no store, creates the directory and the store. It
 * recovers from a crash: every acknowledged append is there, and any other append is there as a
 * whole or not at all. Only one process at a time can have a store open, and only once.
 *
 * @param path The directory, UTF-8.
 * @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param options_or_null Options, which are copied; NULL for the defaults.
 * @param out_store Receives the store.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_LOCKED if the store is already open; ANNALS_E_INVALID_ARGUMENT, also
 * if the directory is neither a store nor empty; ANNALS_E_CORRUPT; ANNALS_E_FORMAT; ANNALS_E_IO,
 * with the os code ENOENT if the store is missing and must not be created; ANNALS_E_NO_SPACE;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads and
 * writes files; after a crash it takes longer, because it replays the journal. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_open(const char *path,
                          size_t path_len,
                          const struct annals_options *options_or_null,
                          struct annals_store **out_store,
                          struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Opens a store read-only. Another program may write it at the same time. The reader takes no
 * lock, writes nothing, and needs only read permission. It never returns events that are not
 * durable.
 *
 * Functions that only read accept this store; functions that write return ANNALS_E_READ_ONLY. Each
 * call sees all events that are durable at that time. An iterator sees the events that were
 * durable when it was created. A subscription follows the appends of any process. If the journal
 * is damaged, all events before the damage are returned, then ANNALS_E_CORRUPT. If the directory
 * is removed, or another store takes its place, calls return ANNALS_E_CLOSED; a store that was
 * compacted is the same store.
 *
 * @param path The directory, UTF-8.
 * @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out_store Receives the store.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with the os code ENOENT if there is no store; ANNALS_E_CORRUPT;
 * ANNALS_E_FORMAT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
 *
 * Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads files.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_reader_open(const char *path,
                                 size_t path_len,
                                 struct annals_store **out_store,
                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Opens a store read-only, as annals_reader_open does, and converts the events that it reads with
 * the upcasters of the options. All other options are ignored.
 *
 * @param path The directory, UTF-8.
 * @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param options_or_null Options, which are copied; NULL for none.
 * @param out_store Receives the store.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with the os code ENOENT if there is no store; ANNALS_E_CORRUPT;
 * ANNALS_E_FORMAT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_PANIC.
 *
 * Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads files.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_reader_open_with_options(const char *path,
                                              size_t path_len,
                                              const struct annals_options *options_or_null,
                                              struct annals_store **out_store,
                                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Opens a store in memory, without files: for tests, and for events that are needed only until the
 * store is closed.
 *
 * @param out_store Receives the store.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
 *
 * Ownership: the caller closes the store with annals_close. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_open_in_memory(struct annals_store **out_store,
                                    struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Closes a store: makes everything durable, and releases the directory so that it can be opened
 * again. It takes ownership of the handle: the pointer is invalid afterwards, even if an error is
 * returned. The only exception is ANNALS_E_BUSY: another call on the store is running, such as the
 * one that runs this callback, and the store stays open.
 *
 * From now on, functions that read or write through objects made from the store return
 * ANNALS_E_CLOSED. The objects must still be freed, now or later.
 *
 * Batches that were submitted are completed first: callbacks for them still use the store, which
 * accepts no more batches, and their tickets keep their outcomes.
 *
 * @param store The store. NULL is a no-op.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_POISONED if the last sync or an earlier write failed: acknowledged
 * events do not depend on it; ANNALS_E_BUSY: the store is still open; ANNALS_E_FORKED: in a forked
 * child only memory is released; ANNALS_E_PANIC, also if an earlier call panicked;
 * ANNALS_E_MISUSE.
 *
 * Ownership: takes ownership of the store. Threads: any; no other thread may be using the store.
 * Blocking: writes and syncs files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_close(struct annals_store *store,
                           struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Makes every event appended so far durable: it survives a power cut when the call returns. With
 * ANNALS_DURABILITY_SYNC all events already are.
 *
 * @param store The store.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_POISONED; ANNALS_E_READ_ONLY; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: syncs a file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_flush(const struct annals_store *store,
                           struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the position of the last event.
 *
 * @param store The store.
 * @param out_position Receives the position; 0 if there is no event.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; for a reader also ANNALS_E_CLOSED, ANNALS_E_CORRUPT and ANNALS_E_IO;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: never; a reader may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_head(const struct annals_store *store,
                          uint64_t *out_position,
                          struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the version of a stream: the number of its events.
 *
 * @param store The store.
 * @param stream The stream id.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out_version Receives the version; 0 if there is no such stream.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT or ANNALS_E_LIMIT if the stream id is invalid;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_stream_version(const struct annals_store *store,
                                    const char *stream,
                                    size_t len,
                                    uint64_t *out_version,
                                    struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Copies a store to a directory while it is in use: all events up to the current head, checkpoints
 * and snapshots. Open the copy like any other store; the first open builds its trees. A new
 * directory appears under its name only when it is complete and durable. An empty directory is
 * replaced, an earlier backup of the same store is brought up to date, and anything else is never
 * overwritten.
 *
 * @param store The store.
 * @param path The directory, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with the os code EEXIST if `path` holds something else;
 * ANNALS_E_LOCKED if the backup is open; ANNALS_E_CORRUPT if events cannot be read;
 * ANNALS_E_NO_SPACE; ANNALS_E_INVALID_ARGUMENT, also for a store in memory, a path inside the
 * store, and a backup with a different history; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: reads and writes files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_backup(const struct annals_store *store,
                            const char *path,
                            size_t len,
                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Appends events to a stream: all of them or none, even through a crash. With
 * ANNALS_DURABILITY_SYNC, it returns once the events survive a power cut. Concurrent appends share
 * one write and one sync.
 *
 * The events are written only if the stream is at the expected version. `expected_version` is the
 * number of events that the stream must have, or ANNALS_EXPECT_ANY, ANNALS_EXPECT_STREAM_EXISTS or
 * ANNALS_EXPECT_NO_STREAM. Of two writers that read the same version, exactly one succeeds; the
 * other gets ANNALS_E_VERSION_CONFLICT, reads the stream again and makes a new decision.
 *
 * With event ids a retry is safe. Suppose that every event has an id, and that all of them are
 * already stored in this stream, in this order, at consecutive positions, each with the same type,
 * data, metadata and tags. Then the call writes nothing and returns ANNALS_ALREADY_STORED with the
 * original positions and versions, whatever the expected version. Timestamps are not compared.
 *
 * If this call returns ANNALS_E_POISONED, its outcome is unknown. Reopen the store, then check the
 * event ids or the version of the stream.
 *
 * @param store The store.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param expected_version The expected version of the stream.
 * @param events The events; see annals_new_event. They are copied.
 * @param n The number of events: 1 to 100000.
 * @param out_first_position Receives the position of the first event; the others follow it. May be
 * NULL.
 * @param out_first_version Receives the version of the first event; the others follow it. May be
 * NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_DUPLICATE_ID;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT for an event of more than 16 MiB, an append of more
 * than 64 MiB or too many events; ANNALS_E_UNSUPPORTED if a field of a newer version is set;
 * ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT or ANNALS_E_IO if the
 * data that a check needs cannot be read; ANNALS_E_IO if no file can be made ready for the events,
 * for example because of a limit on the size of files; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL; ANNALS_E_PANIC. Except with
 * ANNALS_E_POISONED, nothing is written on an error.
 *
 * Threads: thread-safe. Blocking: writes and syncs a file; waits while memory is full and earlier
 * events are moved to the trees. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_append(const struct annals_store *store,
                            const char *stream,
                            size_t len,
                            uint64_t expected_version,
                            const struct annals_new_event *events,
                            size_t n,
                            uint64_t *out_first_position,
                            uint64_t *out_first_version,
                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Appends to several streams as one atomic unit: readers, and recovery after a crash, see all of
 * it or nothing.
 *
 * The units apply in order, and each check sees the units before it, so a stream may occur more
 * than once. A unit without events only checks its stream. The positions of all events are
 * consecutive. Every violated check is reported: see annals_error_conflict.
 *
 * @param store The store.
 * @param units The units; see annals_unit. They are copied.
 * @param n The number of units. All units together have 1 to 100000 events, and up to 100000 units
 * have none.
 * @param out_first_position Receives the position of the first event. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return As annals_append: ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT;
 * ANNALS_E_DUPLICATE_ID; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
 * ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
 * ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: as annals_append. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_append_multi(const struct annals_store *store,
                                  const struct annals_unit *units,
                                  size_t n,
                                  uint64_t *out_first_position,
                                  struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Creates an empty batch.
 *
 * @return The batch; NULL only if there is not enough memory.
 *
 * Ownership: the caller frees it with annals_batch_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_batch *annals_batch_new(void) ANNALS_NOEXCEPT;

/**
 * Adds events for a stream, which are appended if the stream is at the expected version. The
 * entries of a batch apply in order, and each check sees the entries before it, so a stream may
 * occur more than once.
 *
 * A call that fails adds nothing, and the batch is never written without that part:
 * annals_batch_commit and annals_batch_submit then return the status of the first failed call.
 * Calls that return ANNALS_E_BUSY or ANNALS_E_MISUSE do not count as failed here.
 *
 * @param batch The batch.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param expected_version The expected version of the stream: see annals_append.
 * @param events The events; see annals_new_event. They are copied.
 * @param n The number of events: 1 to 100000.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE, also after annals_batch_commit or annals_batch_submit;
 * ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_append(struct annals_batch *batch,
                                  const char *stream,
                                  size_t len,
                                  uint64_t expected_version,
                                  const struct annals_new_event *events,
                                  size_t n,
                                  struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Requires that a stream is at the expected version, and writes nothing to it. A call that fails
 * has the same effect as a failed annals_batch_append.
 *
 * @param batch The batch. It can have 100000 requirements; one more returns ANNALS_E_LIMIT.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param expected_version The expected version of the stream: see annals_append.
 * @param err Receives an error object on failure. May be NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_require(struct annals_batch *batch,
                                   const char *stream,
                                   size_t len,
                                   uint64_t expected_version,
                                   struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Requires that no event after a position matches a query. This protects a decision that depends
 * on the events of the query: pass as `after` the head that annals_query_read returned for them.
 * The events of the batch itself do not count. A call that fails has the same effect as a failed
 * annals_batch_append.
 *
 * @param batch The batch. It can have 100 conditions; one more returns ANNALS_E_LIMIT.
 * @param query The query, which is copied.
 * @param after The position. 0 means that no event at all may match. A position past the head is
 * not an error: nothing can match yet.
 * @param err Receives an error object on failure. May be NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_require_none(struct annals_batch *batch,
                                        const struct annals_query *query,
                                        uint64_t after,
                                        struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Saves the checkpoint of a consumer in the same atomic unit, so that after a restart the consumer
 * repeats nothing. A batch may consist of checkpoints only. A call that fails has the same effect
 * as a failed annals_batch_append.
 *
 * @param batch The batch. It can have 10000 checkpoints; one more returns ANNALS_E_LIMIT.
 * @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. It may occur only
 * once in a batch.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param position The position of the last event that the consumer has finished: at most the head
 * after this batch.
 * @param err Receives an error object on failure. May be NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_checkpoint(struct annals_batch *batch,
                                      const char *name,
                                      size_t len,
                                      uint64_t position,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Writes a batch as one atomic unit, and returns when it is as durable as an append would be.
 * Readers, and recovery after a crash, see all of it or nothing. The positions of all events are
 * consecutive.
 *
 * The call uses up the batch, whatever it returns: afterwards the batch can only be freed. So a
 * batch is never written twice by accident. To retry, build it again; with ids on its events that
 * is safe.
 *
 * Errors are detected in this order: arguments, limits, ids, versions, conditions, checkpoints.
 * The error object contains every violated version check and condition: see annals_error_conflict
 * and annals_error_condition.
 *
 * An exact retry by event ids, as described for annals_append, writes no event. Its checkpoints
 * are saved if they are ahead of the stored ones, and ignored otherwise. In any other batch, a
 * checkpoint that goes back or past the new head is rejected with ANNALS_E_INVALID_ARGUMENT.
 *
 * @param batch The batch. An empty one is ANNALS_E_INVALID_ARGUMENT.
 * @param store The store.
 * @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
 * checkpoints only. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_CONDITION if a
 * condition is violated but no version check; otherwise as annals_append.
 *
 * Threads: any, one call at a time. Blocking: as annals_append. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_commit(struct annals_batch *batch,
                                  const struct annals_store *store,
                                  uint64_t *out_first_position_or_null,
                                  struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Queues a batch to be written, and returns at once. The ticket reports the outcome, including a
 * conflict. One thread can have many batches in flight this way, and they share their syncs.
 *
 * What one thread submits, commits and appends gets its positions in the order of the calls. Each
 * batch succeeds or fails by itself: one that fails takes no position and stops none after it. The
 * queue holds up to 1024 batches or 64 MiB of events. When it is full, the call waits for room,
 * but never inside a callback. The first call starts a thread of the store, which also runs the
 * callbacks of live projections for submitted batches. If the store is in memory, or has no thread
 * to spare because it is sealing a file, the batch is written before this call returns, and the
 * callbacks run in it.
 *
 * The call uses up the batch, as annals_batch_commit does.
 *
 * @param batch The batch.
 * @param store The store.
 * @param out Receives the ticket.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT or ANNALS_E_IO if
 * the data that a check needs cannot be read; ANNALS_E_POISONED; ANNALS_E_READ_ONLY;
 * ANNALS_E_CLOSED; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_INTERNAL; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the ticket with annals_ticket_free. Threads: any, one call at a
 * time. Blocking: while the queue is full; may read files; without a thread as annals_append.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_submit(struct annals_batch *batch,
                                  const struct annals_store *store,
                                  struct annals_ticket **out,
                                  struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees a batch.
 *
 * @param batch The batch. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the batch. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_batch_free(struct annals_batch *batch) ANNALS_NOEXCEPT;

/**
 * Waits for the outcome: returns what annals_batch_commit would have returned. A repeated call
 * returns the same again.
 *
 * @param ticket The ticket.
 * @param timeout_ms How long to wait, in milliseconds. 0 does not wait; a negative value waits
 * without limit.
 * @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
 * checkpoints only. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return As annals_batch_commit; ANNALS_TIMEOUT if the outcome is not known yet; ANNALS_E_BUSY
 * inside a callback of a live projection if the outcome may depend on that callback.
 *
 * Threads: thread-safe. Blocking: up to the timeout. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_ticket_wait(const struct annals_ticket *ticket,
                                 int64_t timeout_ms,
                                 uint64_t *out_first_position_or_null,
                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees a ticket. This neither cancels the batch nor waits for it.
 *
 * @param ticket The ticket. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the ticket. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_ticket_free(struct annals_ticket *ticket) ANNALS_NOEXCEPT;

/**
 * Creates read options that read everything, forwards.
 *
 * @return The read options; NULL only if there is not enough memory.
 *
 * Ownership: the caller frees them with annals_read_options_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
struct annals_read_options *annals_read_options_new(void)
ANNALS_NOEXCEPT;

/**
 * Frees read options. Iterators and subscriptions that were created with them are not affected.
 *
 * @param options The read options. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the read options. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_read_options_free(struct annals_read_options *options) ANNALS_NOEXCEPT;

/**
 * Sets the direction.
 *
 * @param options The read options.
 * @param backward True to read from the last event to the first.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_backward(struct annals_read_options *options,
                                               bool backward)
ANNALS_NOEXCEPT;

/**
 * Sets the maximum number of events, counted after the filters.
 *
 * @param options The read options.
 * @param limit The number of events; 0 reads nothing.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_limit(struct annals_read_options *options,
                                            uint64_t limit)
ANNALS_NOEXCEPT;

/**
 * Sets the version of the stream at which reading starts, inclusive. The default is the first
 * event, or the last when reading backwards. Only for annals_read_stream; other functions reject
 * it with ANNALS_E_INVALID_ARGUMENT.
 *
 * @param options The read options.
 * @param version The version.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_from_version(struct annals_read_options *options,
                                                   uint64_t version)
ANNALS_NOEXCEPT;

/**
 * Sets the position in the store at which reading starts, inclusive. The default is the first
 * event, or the last when reading backwards. annals_subscribe rejects it with
 * ANNALS_E_INVALID_ARGUMENT.
 *
 * @param options The read options.
 * @param position The position.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_from_position(struct annals_read_options *options,
                                                    uint64_t position)
ANNALS_NOEXCEPT;

/**
 * Adds an event type to the filter: only events of the added types are read. Without the filter,
 * all types are read.
 *
 * @param options The read options.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_add_type(struct annals_read_options *options,
                                           const char *type,
                                           size_t len)
ANNALS_NOEXCEPT;

/**
 * Reads only streams whose ids start with a prefix. For annals_read_all and annals_subscribe;
 * other functions reject it with ANNALS_E_INVALID_ARGUMENT.
 *
 * @param options The read options.
 * @param prefix The prefix, which is copied; an empty one removes the filter.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT if it is longer than any stream id;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_stream_prefix(struct annals_read_options *options,
                                                    const char *prefix,
                                                    size_t len)
ANNALS_NOEXCEPT;

/**
 * Reads only events that match a query. For annals_read_all and annals_subscribe, and not together
 * with types or a stream prefix: add those to the items of the query.
 *
 * @param options The read options.
 * @param query The query, which is copied.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_query(struct annals_read_options *options,
                                            const struct annals_query *query)
ANNALS_NOEXCEPT;

/**
 * Sets the position in the store at which reading ends, inclusive: no event after it is read, or
 * before it when reading backwards. For annals_read_all and annals_read_stream; annals_subscribe
 * and annals_query_read reject it with ANNALS_E_INVALID_ARGUMENT.
 *
 * @param options The read options.
 * @param position The position.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_until_position(struct annals_read_options *options,
                                                     uint64_t position)
ANNALS_NOEXCEPT;

/**
 * Skips events with an earlier timestamp. Timestamps are compared as in annals_event, in
 * microseconds since the Unix epoch; they need not rise with the positions. For annals_read_all
 * and annals_read_stream; annals_subscribe and annals_query_read reject it with
 * ANNALS_E_INVALID_ARGUMENT.
 *
 * @param options The read options.
 * @param timestamp_us The earliest timestamp, inclusive, in the years 1 to 9999.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_since(struct annals_read_options *options,
                                            int64_t timestamp_us)
ANNALS_NOEXCEPT;

/**
 * Skips events with a later timestamp. See annals_read_options_set_since.
 *
 * @param options The read options.
 * @param timestamp_us The latest timestamp, inclusive, in the years 1 to 9999.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_until(struct annals_read_options *options,
                                            int64_t timestamp_us)
ANNALS_NOEXCEPT;

/**
 * Creates a query without items. Functions that use a query reject it with
 * ANNALS_E_INVALID_ARGUMENT until an item is added.
 *
 * @return The query; NULL only if there is not enough memory.
 *
 * Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_query *annals_query_new(void) ANNALS_NOEXCEPT;

/**
 * Creates a query that matches every event. It accepts no items.
 *
 * @return The query; NULL only if there is not enough memory.
 *
 * Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_query *annals_query_new_all(void) ANNALS_NOEXCEPT;

/**
 * Adds an item. An event matches the item if its type is one of the given types, it has all given
 * tags, and it is in the given stream. What is not given matches any event. On an error nothing is
 * added.
 *
 * @param query The query. It can have 1000 items.
 * @param types At most 1000 types, which are copied; (NULL, 0) for any type.
 * @param type_count The number of types.
 * @param tags At most 1000 tags, which are copied; (NULL, 0) to require no tag.
 * @param tag_count The number of tags.
 * @param stream The stream id, or (NULL, 0) for any stream. An empty id that is not NULL is
 * invalid.
 * @param stream_len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT, also if the item restricts nothing (use
 * annals_query_new_all) or the query is from annals_query_new_all; ANNALS_E_LIMIT;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_query_add_item(struct annals_query *query,
                                    const struct annals_string *types,
                                    size_t type_count,
                                    const struct annals_string *tags,
                                    size_t tag_count,
                                    const char *stream,
                                    size_t stream_len,
                                    struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees a query.
 *
 * @param query The query. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the query. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_query_free(struct annals_query *query) ANNALS_NOEXCEPT;

/**
 * Reads the events of one stream, in the order of their versions.
 *
 * @param store The store.
 * @param stream The stream id. If the stream has no events, the iterator is empty; this is not an
 * error.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param options What to read, which is copied; NULL reads everything, forwards.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged events are reported by
 * annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_stream(const struct annals_store *store,
                                 const char *stream,
                                 size_t len,
                                 const struct annals_read_options *options,
                                 struct annals_iter **out,
                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Reads all events, in the order of their positions.
 *
 * @param store The store.
 * @param options What to read, which is copied; NULL reads everything, forwards.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged events are reported by annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_all(const struct annals_store *store,
                              const struct annals_read_options *options,
                              struct annals_iter **out,
                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Reads the events that match a query, in the order of their positions.
 *
 * @param store The store.
 * @param query The query, which is copied.
 * @param options_or_null Direction, limit and start position, which are copied, or NULL. Any other
 * option is ANNALS_E_INVALID_ARGUMENT.
 * @param out Receives the iterator.
 * @param out_head_or_null Receives, in this call already, the value to pass as `after` to
 * annals_batch_require_none if a decision depends on these events: the head of the store when the
 * read began. If the read goes forwards and reaches its limit, it is the position of the last
 * event returned, and 0 with a limit of 0. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT or ANNALS_E_IO if
 * out_head_or_null is needed and the events up to the limit cannot be read; ANNALS_E_CLOSED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged
 * events are reported by annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: thread-safe. Blocking: may read files for out_head_or_null. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_query_read(const struct annals_store *store,
                                const struct annals_query *query,
                                const struct annals_read_options *options_or_null,
                                struct annals_iter **out,
                                uint64_t *out_head_or_null,
                                struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the next event.
 *
 * @param iter The iterator.
 * @param out_event Receives a view of the event, which is valid until the next call on this
 * iterator or until it is freed; NULL unless the result is ANNALS_OK.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if
 * an upcaster failed; ANNALS_E_CLOSED. Each of these, except ANNALS_OK, is returned by all later
 * calls, too. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Ownership: the iterator owns the view. Threads: any, one call at a time. Blocking: may read
 * files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_iter_next(struct annals_iter *iter,
                               const struct annals_event **out_event,
                               struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns several events at once, which costs less than one event per call.
 *
 * @param iter The iterator.
 * @param max The most events to return, above 0. A call may return fewer even before the end,
 * because it returns at most 4096 events and about 4 MiB: only ANNALS_DONE is the end.
 * @param out_events Receives an array of views, which is valid until the next call on this
 * iterator or until it is freed; NULL unless the result is ANNALS_OK.
 * @param out_n Receives the number of events in the array: at least 1 with ANNALS_OK.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if
 * an upcaster failed; ANNALS_E_CLOSED. Each of these, except ANNALS_OK, is returned after the
 * events before it, and then by all later calls. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the iterator owns the views. Threads: any, one call at a time. Blocking: may read
 * files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_iter_next_batch(struct annals_iter *iter,
                                     size_t max,
                                     const struct annals_event **out_events,
                                     size_t *out_n,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees an iterator and all views obtained from it.
 *
 * @param iter The iterator. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the iterator. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_iter_free(struct annals_iter *iter) ANNALS_NOEXCEPT;

/**
 * Finds an event by its id.
 *
 * @param store The store.
 * @param id The 16 bytes of the id.
 * @param out Receives an iterator over that single event; NULL if there is none.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND if no event has the id; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if an upcaster failed; ANNALS_E_CLOSED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: thread-safe. Blocking: may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_event_by_id(const struct annals_store *store,
                                 const uint8_t *id,
                                 struct annals_iter **out,
                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Lists the streams of a store, in byte order of their ids.
 *
 * @param store The store.
 * @param prefix Lists only streams whose ids start with this string; (NULL, 0) lists all.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the iterator with annals_stream_iter_free, before or after the store
 * is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_streams(const struct annals_store *store,
                             const char *prefix,
                             size_t len,
                             struct annals_stream_iter **out,
                             struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the next stream.
 *
 * @param iter The iterator.
 * @param out_name Receives the stream id, which also ends with a NUL and is valid until the next
 * call on this iterator or until it is freed; NULL unless the result is ANNALS_OK.
 * @param out_len Receives the length of the stream id in bytes. May be NULL.
 * @param out_version Receives the version of the stream: the number of its events. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED. Each
 * of these, except ANNALS_OK, is returned by all later calls, too. Also ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the iterator owns the name. Threads: any, one call at a time. Blocking: may read
 * files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_stream_iter_next(struct annals_stream_iter *iter,
                                      const char **out_name,
                                      size_t *out_len,
                                      uint64_t *out_version,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees an iterator and the name obtained from it.
 *
 * @param iter The iterator. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the iterator. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_stream_iter_free(struct annals_stream_iter *iter) ANNALS_NOEXCEPT;

/**
 * Returns the checkpoint of a consumer: it has finished all events up to this position.
 *
 * @param store The store.
 * @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out_position Receives the position; 0 if the consumer has saved none.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT or ANNALS_E_LIMIT if the name is invalid;
 * ANNALS_E_CORRUPT if the checkpoint is damaged; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_checkpoint_load(const struct annals_store *store,
                                     const char *name,
                                     size_t len,
                                     uint64_t *out_position,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Saves the checkpoint of a consumer. It is as durable as an append, and shares writes and syncs
 * with concurrent appends. A checkpoint never goes back, and is never ahead of the durable events.
 * Saving the same position again writes nothing.
 *
 * @param store The store.
 * @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. Checkpoints have
 * their own namespace.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param position The position of the last event that the consumer has finished.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT if the position is below the saved one or past the
 * head, or if the name is invalid; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_CORRUPT;
 * ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: writes and syncs a file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_checkpoint_save(const struct annals_store *store,
                                     const char *name,
                                     size_t len,
                                     uint64_t position,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Subscribes to all events from a position on. The store remembers nothing about a subscription:
 * to continue after a restart, a consumer saves a checkpoint and subscribes from the position
 * after it.
 *
 * @param store The store.
 * @param from_position The position of the first event, inclusive; 0 and 1 both mean the
 * beginning. A position past the head waits for that event.
 * @param options Event types, a stream prefix, a query and a limit, which are copied; NULL for all
 * events. Any other option is ANNALS_E_INVALID_ARGUMENT.
 * @param out Receives the subscription.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the subscription with annals_subscription_free, before or after the
 * store is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_subscribe(const struct annals_store *store,
                               uint64_t from_position,
                               const struct annals_read_options *options,
                               struct annals_subscription **out,
                               struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the next event, and waits for it if necessary.
 *
 * @param subscription The subscription.
 * @param timeout_ms How long to wait at most, in milliseconds. 0 does not wait; a negative value
 * waits forever. The time to skip stored events that the filters reject does not count.
 * @param out_event Receives a view of the event, which is valid until the next call of this
 * function on the subscription or until it is freed; NULL unless the result is ANNALS_OK.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_TIMEOUT; ANNALS_DONE if the subscription was cancelled or has reached
 * its limit; ANNALS_E_CLOSED, also if the store is closed during the wait; ANNALS_E_CORRUPT,
 * ANNALS_E_IO, or ANNALS_E_CALLBACK if an upcaster failed: the next call tries the same event
 * again; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Ownership: the subscription owns the view. Threads: any, one call at a time. Blocking: waits,
 * and may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_subscription_next(struct annals_subscription *subscription,
                                       int64_t timeout_ms,
                                       const struct annals_event **out_event,
                                       struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Cancels a subscription: it delivers no more events, and a waiting call returns ANNALS_DONE. This
 * call never waits, and may be repeated.
 *
 * @param subscription The subscription. NULL is a no-op.
 *
 * Threads: thread-safe, also while annals_subscription_next runs, but not while
 * annals_subscription_free runs. Blocking: never. Since: 0.1.0
 */
ANNALS_API
void annals_subscription_cancel(const struct annals_subscription *subscription)
ANNALS_NOEXCEPT;

/**
 * Cancels and frees a subscription, and frees the view obtained from it. If another thread still
 * waits in annals_subscription_next, that call returns ANNALS_DONE.
 *
 * @param subscription The subscription. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the subscription, except to wait. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API
void annals_subscription_free(struct annals_subscription *subscription)
ANNALS_NOEXCEPT;

/**
 * Saves bytes that the caller derived from the events up to a position. The snapshot is as durable
 * as an append, and never ahead of the events. For each name, the snapshots with the two highest
 * positions are kept. One with the same position is replaced.
 *
 * @param store The store.
 * @param name The name: 1 to 255 bytes of UTF-8 without NUL. The namespace is separate from that
 * of projection snapshots.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param position The position of the last event that the bytes include.
 * @param data The bytes, which are copied; NULL if there are none.
 * @param n The number of bytes: at most 64 MiB.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT if the position is past the head or the name is
 * invalid; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: writes and syncs a file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_snapshot_save(const struct annals_store *store,
                                   const char *name,
                                   size_t len,
                                   uint64_t position,
                                   const uint8_t *data,
                                   size_t n,
                                   struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Loads the newest usable snapshot of a name: the one with the highest position. Snapshots that
 * are damaged, belong to another store or are ahead of the log are ignored; annals_verify reports
 * them.
 *
 * @param store The store.
 * @param name The name.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out Receives the snapshot; NULL unless the result is ANNALS_OK.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND if there is no usable snapshot; ANNALS_E_INVALID_ARGUMENT or
 * ANNALS_E_LIMIT if the name is invalid; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_NO_MEMORY;
 * ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the snapshot with annals_snapshot_free, before or after the store is
 * closed. Threads: thread-safe. Blocking: may read files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_snapshot_load(const struct annals_store *store,
                                   const char *name,
                                   size_t len,
                                   struct annals_snapshot **out,
                                   struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the position of the last event that a snapshot includes.
 *
 * @param snapshot The snapshot.
 * @return The position. 0 if the snapshot includes no event, or if `snapshot` is invalid.
 *
 * Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
uint64_t annals_snapshot_position(const struct annals_snapshot *snapshot)
ANNALS_NOEXCEPT;

/**
 * Returns the bytes of a snapshot as they were saved.
 *
 * @param snapshot The snapshot.
 * @param out_len Receives the number of bytes. May be NULL.
 * @return The bytes, valid until the snapshot is freed; NULL if `snapshot` is invalid.
 *
 * Ownership: the snapshot owns the bytes. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const uint8_t *annals_snapshot_data(const struct annals_snapshot *snapshot,
                                    size_t *out_len)
ANNALS_NOEXCEPT;

/**
 * Frees a snapshot and its bytes.
 *
 * @param snapshot The snapshot. NULL is a no-op.
 *
 * Threads: any; no other thread may be using the snapshot. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_snapshot_free(struct annals_snapshot *snapshot) ANNALS_NOEXCEPT;

/**
 * Reports whether a projection has stopped.
 *
 * @param projection The projection.
 * @param err Receives the error that stopped it. May be NULL.
 * @return ANNALS_OK if it has not stopped; ANNALS_DONE if a callback stopped it; otherwise the
 * error that stopped it, such as ANNALS_E_CALLBACK: annals_projection_catch_up and
 * annals_projection_live resume at that event. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_state(const struct annals_projection *projection,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns the position of the last event that a projection has applied, or skipped because no
 * callback is registered for its type. Inside a callback it is the position of the previous event.
 *
 * @param projection The projection.
 * @return The position. 0 if there was no event yet, or if `projection` is invalid.
 *
 * Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
uint64_t annals_projection_position(const struct annals_projection *projection)
ANNALS_NOEXCEPT;

/**
 * Stops and frees a projection. It waits for a callback that an append runs on another thread,
 * then calls `destroy` for all user data. When it returns, no callback is running, and none will
 * run. If one of its own callbacks calls it, or a callback that one of its own waits for, it does
 * not wait: its own callback is then the last one, and the cleanup follows when that callback
 * returns.
 *
 * @param projection The projection. NULL is a no-op.
 *
 * Threads: any; no other thread may be inside a call on the projection, but appends may be running
 * its callbacks. Blocking: waits for a callback. Since: 0.1.0
 */
ANNALS_API
void annals_projection_free(struct annals_projection *projection)
ANNALS_NOEXCEPT;

/**
 * Creates a projection at position 0.
 *
 * @param store The store.
 * @param name The name under which its snapshots are stored: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out Receives the projection.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the projection with annals_projection_free, before or after the
 * store is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_new(const struct annals_store *store,
                                    const char *name,
                                    size_t len,
                                    struct annals_projection **out,
                                    struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Registers a callback for an event type. It replaces an earlier callback for that type. Events of
 * types without a callback are skipped.
 *
 * A callback should depend on nothing but the state and the event: after a restart from an older
 * snapshot, it receives events again. If it fails, it must leave the caller's state as it was
 * before the event. It may read from the store and append to it; its own projection receives the
 * appended events after it has returned.
 *
 * @param projection The projection, which must not be live.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param handler Receives each event of the type. In annals_projection_catch_up it runs on the
 * calling thread. Once the projection is live it runs on threads that append, and for submitted
 * batches on a thread of the store. A projection never runs two callbacks at once.
 * @param user_data Passed to `handler`.
 * @param destroy Receives `user_data` when the callback is replaced, when the projection is freed,
 * or if this call fails. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY if the projection is live or another call on it is running;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: takes ownership of `user_data`, and gives it back through `destroy`, exactly once.
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_when(struct annals_projection *projection,
                                     const char *type,
                                     size_t len,
                                     annals_event_fn handler,
                                     void *user_data,
                                     annals_destroy_fn destroy,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Sets the version of a projection. Raise it when the callbacks change the meaning of the state:
 * snapshots of other versions are ignored.
 *
 * @param projection The projection.
 * @param version The version. The default is 0.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY if another call on the projection is running;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_set_version(struct annals_projection *projection,
                                            uint32_t version,
                                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Passes all events up to the current head to the callbacks. Events that the callbacks append are
 * left to the next call. A live projection that has stopped resumes where it stopped.
 *
 * @param projection The projection.
 * @param out_processed Receives by how many events the projection advanced, including events
 * without a callback. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if a callback stopped it: the next call resumes after that event;
 * ANNALS_E_CALLBACK if a callback or an upcaster failed: the next call resumes at that event;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY if another call on the projection is running, or if it is live and a callback of a
 * live projection makes this call; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_catch_up(struct annals_projection *projection,
                                         uint64_t *out_processed,
                                         struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Catches up, and from then on makes the projection follow every append: when an append returns,
 * on any thread, the projection is up to date. If it is already live and has stopped, it resumes
 * where it stopped.
 *
 * A callback that fails stops its own projection only: the append succeeds, and other projections
 * continue. annals_projection_state returns the error. A callback that returns a positive value
 * stops its projection after that event. A callback may always append to its own store. It may
 * append to another store only if no callback there appends to this store; otherwise the two may
 * wait for each other.
 *
 * @param projection The projection.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if a callback stopped it: the next call of this function resumes
 * after that event, whether or not the projection was live by then; ANNALS_E_READ_ONLY if the
 * store is a reader, which sees no appends: call annals_projection_catch_up instead; otherwise as
 * annals_projection_catch_up.
 *
 * Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_live(struct annals_projection *projection,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Resumes a live projection after the event at which a callback failed: the callback does not
 * receive that event again, and the position moves past it. If no callback failed, nothing is
 * skipped, and the function does what annals_projection_live does.
 *
 * A projection that starts again from an earlier snapshot, or from the beginning, receives the
 * event again.
 *
 * @param projection The projection, which must be live.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if a callback stopped it after a later event; ANNALS_E_CALLBACK
 * if a callback failed at a later event; ANNALS_E_CORRUPT or ANNALS_E_IO if it was not a callback
 * that stopped it; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT, also if the projection is not live;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY if another call on the projection is running or a callback of a
 * live projection makes this call; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_resume_after(struct annals_projection *projection,
                                             struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Saves the caller's state for a projection, together with its name, version and position. The
 * snapshot is as durable as an append. The two snapshots with the highest positions are kept.
 *
 * @param projection The projection. If it is live, call this while no other thread appends: the
 * snapshot gets the current position, and the state must belong to that position. The caller must
 * not hold a lock that a callback takes.
 * @param state The bytes, which are copied; NULL if there are none.
 * @param n The number of bytes: at most 64 MiB.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY inside a callback of this projection, or if another call on it
 * is running; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE;
 * ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: waits for a callback, writes and syncs a file.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_save_snapshot(struct annals_projection *projection,
                                              const uint8_t *state,
                                              size_t n,
                                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Passes the newest usable snapshot of this name and version to a callback, and moves the
 * projection to the position of the snapshot if the callback accepts it. Snapshots that are
 * damaged, belong to another version or store, or are ahead of the log are ignored; the events are
 * replayed instead.
 *
 * @param projection The projection, which must not be live.
 * @param restore Receives the snapshot, on this thread.
 * @param user_data Passed to `restore`.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND if there is no usable snapshot; ANNALS_DONE if the callback
 * ignored it; ANNALS_E_CALLBACK if the callback failed; ANNALS_E_BUSY if the projection is live or
 * another call on it is running; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC. With any result but ANNALS_OK
 * the projection is unchanged.
 *
 * Threads: any, one call at a time. Blocking: may read files, and runs `restore`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_load_snapshot(struct annals_projection *projection,
                                              annals_restore_fn restore,
                                              void *user_data,
                                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Moves a projection back to position 0. The caller resets its own state; snapshots stay.
 *
 * @param projection The projection, which must not be live.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one call at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_reset(struct annals_projection *projection,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Passes the events of one stream to a callback, in the order of their versions, up to a given
 * point. From these events the callback can derive the state that the stream had at that point.
 *
 * @param store The store.
 * @param stream The stream id. If the stream has no events, the callback is not called; this is
 * not an error.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param up_to_kind The meaning of `up_to`: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION,
 * ANNALS_UP_TO_POSITION or ANNALS_UP_TO_TIMESTAMP.
 * @param up_to The point, inclusive.
 * @param apply Receives each event, on this thread. It may use the store.
 * @param user_data Passed to `apply`.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if the callback stopped; ANNALS_E_CALLBACK if the callback or an
 * upcaster failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: may read files, and runs `apply`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_reconstruct_state(const struct annals_store *store,
                                       const char *stream,
                                       size_t len,
                                       uint32_t up_to_kind,
                                       uint64_t up_to,
                                       annals_event_fn apply,
                                       void *user_data,
                                       struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Does the same as annals_reconstruct_state, and returns the version and position of the stream's
 * last event up to that point. Pass the version as the expected version of an append that depends
 * on the state, and the position to annals_snapshot_save for a snapshot of it. If the callback
 * stops early, the version and position are still those of the last event.
 *
 * @param store The store.
 * @param stream The stream id. If the stream has no events, the callback is not called; this is
 * not an error.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param up_to_kind The meaning of `up_to`: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION,
 * ANNALS_UP_TO_POSITION or ANNALS_UP_TO_TIMESTAMP.
 * @param up_to The point, inclusive.
 * @param apply Receives each event, on this thread. It may use the store.
 * @param user_data Passed to `apply`.
 * @param out_version Receives the version; 0 if there is no event. May be NULL.
 * @param out_position Receives the position; 0 if there is no event. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if the callback stopped; ANNALS_E_CALLBACK if the callback or an
 * upcaster failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: may read files, and runs `apply`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_reconstruct_state_versioned(const struct annals_store *store,
                                                 const char *stream,
                                                 size_t len,
                                                 uint32_t up_to_kind,
                                                 uint64_t up_to,
                                                 annals_event_fn apply,
                                                 void *user_data,
                                                 uint64_t *out_version,
                                                 uint64_t *out_position,
                                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Writes all events up to the current head as NDJSON: one event per line, byte for byte as
 * Python's json.dumps would write it.
 *
 * @param store The store.
 * @param write Receives the bytes, in large pieces that may end anywhere.
 * @param user_data Passed to `write`.
 * @param out_events Receives how many complete lines `write` has taken, also on an error. May be
 * NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if `write` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT;
 * ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: reads files, and runs `write`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_export_ndjson(const struct annals_store *store,
                                   annals_write_fn write,
                                   void *user_data,
                                   uint64_t *out_events,
                                   struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Writes all events up to the current head as NDJSON to a new file. The file appears under its
 * name only when it is complete and durable. An existing file is never overwritten.
 *
 * @param store The store.
 * @param path The file, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out_events Receives the number of events in the file; 0 on an error, because then there
 * is no file. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with the os code EEXIST if `path` exists; ANNALS_E_NO_SPACE;
 * ANNALS_E_CORRUPT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: reads and writes files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_export_ndjson_file(const struct annals_store *store,
                                        const char *path,
                                        size_t len,
                                        uint64_t *out_events,
                                        struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Appends the events in the input, one per line, in durable batches of a few thousand. After an
 * error nothing of the batch with the fault is written; earlier batches stay.
 *
 * @param store The store.
 * @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
 * @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
 * @param read Supplies the bytes.
 * @param user_data Passed to `read`.
 * @param out_events Receives the number of events written, also on an error. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if `read` asked to stop; ANNALS_E_PARSE: see annals_error_line;
 * ANNALS_E_DUPLICATE_ID; ANNALS_E_CALLBACK; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE;
 * ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT, also if `read`
 * reports more bytes than fit into its buffer; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: as annals_append, and runs `read`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_import_ndjson(const struct annals_store *store,
                                   uint32_t mode,
                                   uint32_t flags,
                                   annals_read_fn read,
                                   void *user_data,
                                   uint64_t *out_events,
                                   struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Appends the events of an NDJSON file: see annals_import_ndjson.
 *
 * @param store The store.
 * @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
 * @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
 * @param path The file, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param out_events Receives the number of events written, also on an error. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_PARSE: see annals_error_line; ANNALS_E_DUPLICATE_ID; ANNALS_E_LIMIT;
 * ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: as annals_append, and reads the file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_import_ndjson_file(const struct annals_store *store,
                                        uint32_t mode,
                                        uint32_t flags,
                                        const char *path,
                                        size_t len,
                                        uint64_t *out_events,
                                        struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Checks the whole store up to its last event and reports what is wrong. It changes nothing. It
 * checks every checksum, every number, every index entry, and compares the two copies of every
 * event. Appends and reads may continue meanwhile.
 *
 * @param store The store.
 * @param finding Called at the end for each finding. NULL only counts them.
 * @param user_data Passed to `finding`.
 * @param out_events Receives the number of events that were read and found intact. May be NULL.
 * @param out_findings Receives the number of findings, at most 1000; 0 if the store is intact. May
 * be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK, with or without findings; ANNALS_DONE if `finding` asked to stop;
 * ANNALS_E_CALLBACK; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_CLOSED;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: reads every file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_verify(const struct annals_store *store,
                            annals_finding_fn finding,
                            void *user_data,
                            uint64_t *out_events,
                            uint64_t *out_findings,
                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns what annals_open had to repair: it rebuilds missing or damaged trees from the journal,
 * and keeps the old ones as trees.damaged-1 and so on.
 *
 * @param store The store.
 * @param out_rebuilt_events Receives the number of events from which the trees were rebuilt; 0 if
 * nothing had to be done. May be NULL.
 * @param out_micros Receives the time that this took, in microseconds. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_recovery(const struct annals_store *store,
                              uint64_t *out_rebuilt_events,
                              uint64_t *out_micros,
                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Repairs a store that is not open, or reports how it would: events that one of the two copies has
 * lost are rewritten from the other copy. Where only the journal has the events and it is damaged,
 * it is cut off at the damage. Whatever is replaced is kept under its name with .damaged-1 and so
 * on. A plan is made on a private copy in /tmp.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param flags 0, or ANNALS_REPAIR_APPLY, alone or with ANNALS_REPAIR_DISCARD_EVIDENCE.
 * @param finding Called at the end for each step, and then for everything that cannot be repaired.
 * May be NULL.
 * @param user_data Passed to `finding`.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if `finding` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_LOCKED if
 * the store is open; ANNALS_E_CORRUPT if nothing in it is usable; ANNALS_E_FORMAT;
 * ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
 *
 * Threads: any. Blocking: reads and writes files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_repair(const char *path,
                            size_t len,
                            uint32_t flags,
                            annals_finding_fn finding,
                            void *user_data,
                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Writes, as NDJSON and in order, every event of a store that can be read from either copy. The
 * store may be unable to open, and it may be in use; nothing in it is changed. The work is done on
 * a private copy in /tmp.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param write Receives the bytes, in pieces that may end anywhere.
 * @param missing Called at the end for each range of positions that is lost. May be NULL.
 * @param user_data Passed to `write` and `missing`.
 * @param out_events Receives the number of events written, also on an error. May be NULL.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if a callback asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT
 * if nothing is usable; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
 *
 * Threads: any. Blocking: reads and writes files, and runs `write`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_salvage(const char *path,
                             size_t len,
                             annals_write_fn write,
                             annals_finding_fn missing,
                             void *user_data,
                             uint64_t *out_events,
                             struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Rewrites a store that is not open, and replaces it with the result: small files are merged, and
 * the events of each stream are placed close together. No event is removed. If the process is
 * killed at any point, `path` holds a complete store.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_E_LOCKED if the store is open; ANNALS_E_CORRUPT if the store is
 * damaged; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_PANIC.
 *
 * Threads: any. Blocking: reads and writes files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_compact(const char *path,
                             size_t len,
                             struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Writes one JSON object with what the store has done since it was opened. Counts are numbers.
 * Times and sizes are objects with `count`, `sum`, `max`, `p50`, `p90`, `p99` and `p999`. Names
 * end with their unit:
 *
 * - `append_nanos`: the times of successful appends; `ticket_nanos`: those of successful submitted
 *   batches.
 * - `append_conflicts`, `append_replays`: conflicts and exact retries. `events_written`: events.
 * - `group_requests`: how many appends shared one write. `sync_nanos`: syncs of the journal.
 * - `drain_nanos`, `events_drained`: drains, which move events from memory to the trees.
 * - `page_nanos`: reads of files. `tail_pages`: reads that needed no file.
 * - `version_cache_hits`, `version_cache_misses`: lookups of stream versions.
 * - `tail_bytes`: memory used by the tail.
 *
 * Later versions may add members.
 *
 * @param store The store.
 * @param write Receives the object, in one piece.
 * @param user_data Passed to `write`.
 * @param err Receives an error object on failure. May be NULL.
 * @return ANNALS_OK; ANNALS_DONE if `write` returned a positive value; ANNALS_E_CALLBACK if it
 * failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: thread-safe. Blocking: runs `write`. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_metrics(const struct annals_store *store,
                             annals_write_fn write,
                             void *user_data,
                             struct annals_error **err)
ANNALS_NOEXCEPT;

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANNALS_H */
