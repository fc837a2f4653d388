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
 * The conventions, which hold for every function:
 *
 * - **Results.** A function that can fail returns an annals_status: below 0 is an error, 0 is done,
 *   above 0 is a normal outcome such as ANNALS_DONE. `rc < 0` is the only check for errors there
 *   is. Its last argument, which may be NULL, receives an error object that says what went wrong;
 *   the caller frees it with annals_error_free. Without memory there may be none.
 * - **Places for results** (`out_*`, `err`) are set to NULL or 0 on entry and never read. An error
 *   object comes with errors alone, the others get their values otherwise. The exceptions are the
 *   imports and exports, which also tell how far they came.
 * - **Objects** are opaque and have one function that frees them; freeing NULL does nothing. A
 *   pointer to the wrong kind of object is refused with ANNALS_E_MISUSE. (One that was freed often
 *   is, too, but that is luck.) What was made from a store may outlive it: it then answers
 *   ANNALS_E_CLOSED, and still has to be freed.
 * - **Memory.** The library copies what it is given before it returns, and hands out only objects
 *   and views. A view, such as an annals_event, lives until the next call on the object it came
 *   from, or its free; one that a callback is given, until the callback returns.
 * - **Strings** are UTF-8, a pointer and a length; ANNALS_NUL_TERMINATED as the length means that
 *   the string ends with a NUL. (NULL, 0) is the empty string. Strings that come out end with a NUL
 *   as well, which their length does not count.
 * - **Numbers.** Positions and versions count from 1, and 0 means that there is nothing yet.
 * - **Flags and kinds** that are unknown are refused with ANNALS_E_INVALID_ARGUMENT, never ignored.
 * - **Threads.** A function whose first argument is `const` may run on any number of threads at
 *   once; any other wants its object alone, and answers ANNALS_E_BUSY if it is not. Every object
 *   may move between threads.
 * - **Callbacks** get their `user_data` first. They return 0 to go on, a value above 0 to stop, one
 *   below 0 to fail. They may use the store, except to close it, must not throw or longjmp, and run
 *   on the thread of the call, with no lock held.
 * - **Forks.** A child process must not use what its parent opened: every call answers
 *   ANNALS_E_FORKED; closing and freeing there only release memory. As long as such a child lives,
 *   its parent may be unable to open a store again that was open at the fork. Fork first.
 * - **Failures of the library itself** are caught where they happen and returned as ANNALS_E_PANIC.
 *   It never prints, never ends the process, and installs no handler of any kind.
 */

#ifndef ANNALS_H
#define ANNALS_H

/* Made by cbindgen from src/ffi: change it there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header: see annals_version_number for that of the library. */
#define ANNALS_VERSION_MAJOR 0
/** See ANNALS_VERSION_MAJOR. */
#define ANNALS_VERSION_MINOR 1
/** See ANNALS_VERSION_MAJOR. */
#define ANNALS_VERSION_PATCH 0
/** The version as one number, to compare: major * 1000000 + minor * 1000 + patch. */
#define ANNALS_VERSION_NUMBER 1000
/** The version as text. */
#define ANNALS_VERSION_STRING "0.1.0"

/** As the length of a string: it ends at its NUL. Not for data and metadata, which are bytes. */
#define ANNALS_NUL_TERMINATED SIZE_MAX

/**
 * Whether the library that runs fits the header that the program was compiled with: it has the same
 * ABI, and all its functions.
 */
#define ANNALS_CHECK_VERSION() \
  (annals_abi_version() == ANNALS_ABI_VERSION && annals_version_number() >= ANNALS_VERSION_NUMBER)

/**
 * In front of every function: nothing, unless the program defines it, or ANNALS_DLL for functions
 * of a Windows DLL.
 */
#ifndef ANNALS_API
#if defined(_WIN32) && defined(ANNALS_DLL)
#define ANNALS_API __declspec(dllimport)
#else
#define ANNALS_API
#endif
#endif

/**
 * In front of every function whose status must be looked at. A program that does not want the
 * warning defines it as nothing before it includes this header.
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

/** On every function: none of them throws. */
#ifndef ANNALS_NOEXCEPT
#if defined(__cplusplus) && (__cplusplus >= 201103L || defined(_MSC_VER))
#define ANNALS_NOEXCEPT noexcept
#else
#define ANNALS_NOEXCEPT
#endif
#endif

/** An annals_new_event with its size set and everything else empty. */
#define ANNALS_NEW_EVENT_INIT \
  { sizeof(annals_new_event), 0, NULL, NULL, 0, NULL, 0, NULL, 0, 0, 0, NULL, 0 }

/** An annals_unit with its size set, ANNALS_EXPECT_ANY, and everything else empty. */
#define ANNALS_UNIT_INIT \
  { sizeof(annals_unit), NULL, 0, ANNALS_EXPECT_ANY, NULL, 0 }

/**
 * The version of the ABI that this header describes. A library with another one does not fit the
 * program: see ANNALS_CHECK_VERSION.
 */
#define ANNALS_ABI_VERSION 2

/** The data of the event is bytes, not JSON. */
#define ANNALS_EVENT_BINARY 1

/** The event has an id. */
#define ANNALS_EVENT_HAS_ID 2

/** The new event brings its time. Without it the store takes the time of the append, in UTC. */
#define ANNALS_EVENT_HAS_TIMESTAMP 4

/** As an offset from UTC: the time was written without a zone. It counts as if it were UTC. */
#define ANNALS_OFFSET_NAIVE INT32_MIN

/** An append returns once its events survive a power cut. The default. */
#define ANNALS_DURABILITY_SYNC 0

/**
 * An append returns once its events are ordered and visible to readers of this process. At most
 * the last `max_delay_ms` of them may be lost in a crash of the system, always a suffix of whole
 * appends; a crash of the process alone loses none. annals_flush makes all of them durable.
 */
#define ANNALS_DURABILITY_BUFFERED 1

/** As an expected version: any, so that nothing is checked. */
#define ANNALS_EXPECT_ANY UINT64_MAX

/** As an expected version: the stream has at least one event. */
#define ANNALS_EXPECT_STREAM_EXISTS (UINT64_MAX - 1)

/** As an expected version: the stream has no events. */
#define ANNALS_EXPECT_NO_STREAM 0

/** Up to the last event there is. `up_to` is 0. */
#define ANNALS_UP_TO_NOW 0

/** Up to a version of the stream, inclusive. */
#define ANNALS_UP_TO_VERSION 1

/** Up to a position of the store, inclusive. */
#define ANNALS_UP_TO_POSITION 2

/**
 * All events with this time or an earlier one, wherever they stand: microseconds since the Unix
 * epoch, an int64_t cast to uint64_t. Times without a zone count as UTC.
 */
#define ANNALS_UP_TO_TIMESTAMP 3

/**
 * As the mode of an import: each event_id must follow the last position of the store, so that
 * every event keeps its position.
 */
#define ANNALS_IMPORT_FAITHFUL 0

/**
 * As the mode of an import: events get new positions, and event_id says nothing. Their ids are
 * kept, so that importing the same file again skips what is there, if all its events have one.
 */
#define ANNALS_IMPORT_APPEND 1

/**
 * As the mode of an import: events up to the last position of the store are compared with it and
 * skipped, and a difference is an error; from there on as ANNALS_IMPORT_FAITHFUL.
 */
#define ANNALS_IMPORT_RESUME 2

/**
 * As a flag of an import: a last line that has no line end and is no JSON, as a crash of its
 * writer leaves it, is left out. Without the flag it is an error.
 */
#define ANNALS_IMPORT_DROP_TORN_TAIL 1

/**
 * As a flag of annals_repair: the store is repaired. Without it nothing changes, and the steps are
 * a plan.
 */
#define ANNALS_REPAIR_APPLY 1

/**
 * As a flag of annals_repair, beside ANNALS_REPAIR_APPLY: what earlier repairs have set aside is
 * removed, but for the first and the newest of each file.
 */
#define ANNALS_REPAIR_DISCARD_EVIDENCE 2

/**
 * One atomic unit that is being put together: events for any number of streams, requirements,
 * conditions and checkpoints. See annals_batch_commit.
 */
typedef struct annals_batch annals_batch;

/**
 * Why a call failed. It is immutable, belongs to the caller, may be used on any thread, outlives
 * the store, and is freed with annals_error_free.
 */
typedef struct annals_error annals_error;

/**
 * Events on their way out of a store. It sees the store as it was when it was made, whatever is
 * appended meanwhile, holds no lock and a bounded amount of memory.
 */
typedef struct annals_iter annals_iter;

/**
 * How a store is opened: made by annals_options_new, set up, handed to annals_open any number of
 * times, and freed.
 */
typedef struct annals_options annals_options;

/**
 * A projection: callbacks that are given the events of their types in the order of positions, and
 * the position that they have come to. The state that they derive belongs to the caller.
 *
 * It is pulled, by annals_projection_catch_up, until annals_projection_live makes it follow every
 * append.
 */
typedef struct annals_projection annals_projection;

/** A set of events, by what they are: an event matches when it matches one of the items. */
typedef struct annals_query annals_query;

/**
 * What is read: made by annals_read_options_new, set up, handed to annals_read_stream,
 * annals_read_all or annals_subscribe any number of times, and freed.
 */
typedef struct annals_read_options annals_read_options;

/** A snapshot that was loaded. It needs no store any more. */
typedef struct annals_snapshot annals_snapshot;

/**
 * An open event store. Any number of threads may use it at once; only annals_close wants it alone.
 */
typedef struct annals_store annals_store;

/** The streams of a store, in byte order of their ids, as they were when it was made. */
typedef struct annals_stream_iter annals_stream_iter;

/**
 * Events as they come: history, and then what is appended, without a gap or a repeat. It reads
 * from the store, so that a slow reader holds up no writer and takes no memory.
 */
typedef struct annals_subscription annals_subscription;

/** The outcome of a batch that was submitted. It outlives its batch and its store. */
typedef struct annals_ticket annals_ticket;

/**
 * How a call went. Below 0: an error. 0: done. Above 0: a normal outcome other than the usual one.
 * Later versions may add values on either side, so compare with `rc < 0` for errors.
 */
typedef int32_t annals_status;

/**
 * A text in an array: UTF-8. As an argument its length may be ANNALS_NUL_TERMINATED; in a result
 * it also ends with a NUL, which the length does not count.
 */
typedef struct annals_string {
  /** The bytes. */
  const char *ptr;
  /** How many. */
  size_t len;
} annals_string;

/**
 * An event to append. Start from ANNALS_NEW_EVENT_INIT, which sets struct_size and leaves the rest
 * empty. Everything that it points to is copied before the call returns.
 */
typedef struct annals_new_event {
  /** sizeof(annals_new_event), the same in every event of an array. */
  size_t struct_size;
  /** ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID, ANNALS_EVENT_HAS_TIMESTAMP. */
  uint32_t flags;
  /** 16 bytes, a UUID, or NULL for none. With an id on every event an append is safe to repeat. */
  const uint8_t *id;
  /** The event type: 1 to 255 bytes of UTF-8 without NUL. */
  const char *type;
  /** Its length, or ANNALS_NUL_TERMINATED. */
  size_t type_len;
  /** The text of a JSON value, kept byte for byte; any bytes with ANNALS_EVENT_BINARY. */
  const uint8_t *data;
  /** Bytes of data. */
  size_t data_len;
  /** The text of a JSON object, or NULL for none. */
  const uint8_t *metadata;
  /** Bytes of metadata; 0 for none. */
  size_t metadata_len;
  /** With ANNALS_EVENT_HAS_TIMESTAMP: when it happened, in microseconds since the Unix epoch. */
  int64_t timestamp_us;
  /** With ANNALS_EVENT_HAS_TIMESTAMP: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE. */
  int32_t utc_offset_minutes;
  /**
   * The tags in any order, each 1 to 255 bytes of UTF-8 without NUL; NULL for none. Repeats are
   * dropped.
   */
  const struct annals_string *tags;
  /** How many tags, up to 1000 without repeats; 0 for none. */
  size_t tag_count;
} annals_new_event;

/** One stream's share of annals_append_multi. Start from ANNALS_UNIT_INIT. */
typedef struct annals_unit {
  /** sizeof(annals_unit), the same in every unit of an array. */
  size_t struct_size;
  /** The stream id: 1 to 255 bytes of UTF-8 without NUL. */
  const char *stream;
  /** Its length, or ANNALS_NUL_TERMINATED. */
  size_t stream_len;
  /** What is expected of the stream: see annals_append. */
  uint64_t expected_version;
  /** The events to append; NULL for a pure check of the stream. */
  const struct annals_new_event *events;
  /** How many events; 0 for a pure check. */
  size_t event_count;
} annals_unit;

/**
 * An event as it was recorded: a view into memory of the library. Each function that hands one out
 * says how long it is valid. Its layout is fixed within an ABI version.
 */
typedef struct annals_event {
  /** Its place in the whole store: 1, 2, 3, without gaps. */
  uint64_t position;
  /** Its place in its stream: 1, 2, 3, without gaps. */
  uint64_t version;
  /** When it happened, in microseconds since the Unix epoch. */
  int64_t timestamp_us;
  /** How the time was written: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE. */
  int32_t utc_offset_minutes;
  /** ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID. */
  uint32_t flags;
  /** The id, with ANNALS_EVENT_HAS_ID; zeros without. */
  uint8_t id[16];
  /** The stream id: UTF-8 that also ends with a NUL, which the length does not count. */
  const char *stream;
  /** Bytes of the stream id. */
  size_t stream_len;
  /** The event type: UTF-8 that also ends with a NUL, which the length does not count. */
  const char *type;
  /** Bytes of the event type. */
  size_t type_len;
  /** The data, byte for byte as it was appended. No NUL follows it. */
  const uint8_t *data;
  /** Bytes of data. */
  size_t data_len;
  /** The metadata: the text of a JSON object; NULL when there is none. No NUL follows it. */
  const uint8_t *metadata;
  /** Bytes of metadata; 0 when there is none. */
  size_t metadata_len;
  /** The tags, sorted by their bytes, each once; NULL when there are none. */
  const struct annals_string *tags;
  /** How many tags; 0 when there are none. */
  size_t tag_count;
} annals_event;

/**
 * Takes an event, which is valid until the callback returns.
 *
 * @return 0 to go on; above 0 to stop after this event; below 0 to fail at this event.
 */
typedef int32_t (*annals_event_fn)(void *user_data, const struct annals_event *event);

/**
 * Takes user data back, once, when no callback will be given it any more; it must not use the
 * object that it was registered with.
 */
typedef void (*annals_destroy_fn)(void *user_data);

/**
 * Takes the bytes of a snapshot, which are valid until the callback returns.
 *
 * @return 0 when they are a state to go on from; above 0 to leave the snapshot aside; below 0 to
 * fail.
 */
typedef int32_t (*annals_restore_fn)(void *user_data,
                                     uint64_t position,
                                     const uint8_t *data,
                                     size_t len);

/**
 * Takes bytes of an export. They are valid until the callback returns.
 *
 * It returns 0 to go on, a value above 0 to stop once these bytes are taken (the export returns
 * ANNALS_DONE), or one below 0 to fail (the export returns ANNALS_E_CALLBACK). It runs on the
 * thread of the call, with no lock held, and may use the store, except to close it. It must not
 * throw or longjmp.
 */
typedef int32_t (*annals_write_fn)(void *user_data, const uint8_t *data, size_t len);

/**
 * Gives bytes to an import: writes at most `capacity` of them to `buffer` and their number to
 * `*out_len`, which is 0 before; 0 is the end.
 *
 * It returns 0 to go on, a value above 0 to end the input after these bytes (the import returns
 * ANNALS_DONE), or one below 0 to fail (the import returns ANNALS_E_CALLBACK). It runs on the
 * thread of the call, with no lock held, and may use the store, except to close it. It must not
 * throw or longjmp.
 */
typedef int32_t (*annals_read_fn)(void *user_data,
                                  uint8_t *buffer,
                                  size_t capacity,
                                  size_t *out_len);

/**
 * Changes the data of an event to the shape of the next schema version. The event has the data as
 * the steps before have left it, and is valid until the callback returns.
 *
 * The callback hands over the new data, the text of a JSON value, by calls of
 * `write(writer, data, len)`, in one piece or in several; `write` returns 0, or a status below 0.
 * Without such a call the data stays as it is. Neither may be used after the callback has
 * returned.
 *
 * It is called on any thread that reads, and on several at once. It must not use the store.
 *
 * @return 0 when the event is done; any other value fails the read with ANNALS_E_CALLBACK.
 */
typedef int32_t (*annals_upcast_fn)(void *user_data,
                                    const struct annals_event *event,
                                    annals_write_fn write,
                                    void *writer);

/**
 * Takes a finding of annals_verify: its message says what and where. The error object belongs to
 * the library and is valid until the callback returns.
 *
 * It returns 0 to go on, a value above 0 to hear no more (annals_verify returns ANNALS_DONE), or
 * one below 0 to fail (it returns ANNALS_E_CALLBACK). It runs on the thread of the call, with no
 * lock held, and may use the store, except to close it. It must not throw or longjmp.
 */
typedef int32_t (*annals_finding_fn)(void *user_data, const struct annals_error *finding);

/** Done. */
#define ANNALS_OK 0

/** There is nothing more: an iterator has ended, or a callback asked to stop. */
#define ANNALS_DONE 1

/** There is no such thing. */
#define ANNALS_NOT_FOUND 2

/** Nothing came in the given time. */
#define ANNALS_TIMEOUT 3

/**
 * The append was an exact retry, by its event ids: the events were stored already, and nothing was
 * written. The outs are those of the first time.
 */
#define ANNALS_ALREADY_STORED 4

/** An argument is not what the function takes. A bug of the caller: fix the call. */
#define ANNALS_E_INVALID_ARGUMENT -1

/**
 * A pointer leads to something else than the function takes, such as another kind of object or one
 * that was freed. A bug of the caller.
 */
#define ANNALS_E_MISUSE -2

/** The store was closed. What was made from it still has to be freed. */
#define ANNALS_E_CLOSED -3

/**
 * Another call is using the object: on another thread, or around the callback that makes this one.
 * Nothing was done, and the object is as it was.
 */
#define ANNALS_E_BUSY -4

/**
 * This process is a forked child: the store belongs to its parent. Freeing and closing release
 * memory and touch no file.
 */
#define ANNALS_E_FORKED -5

/** The call asks for something that this version of the library does not know. Upgrade it. */
#define ANNALS_E_UNSUPPORTED -6

/** A limit is passed; the message says which, and by how much. Split or shorten it. */
#define ANNALS_E_LIMIT -7

/** The store is open for reading alone: see annals_reader_open. */
#define ANNALS_E_READ_ONLY -8

/**
 * The stream is not at the expected version. Nothing was written: read it again and decide anew.
 * See annals_error_versions.
 */
#define ANNALS_E_VERSION_CONFLICT -20

/** An event id is in use, and the append is no exact repetition. Nothing was written. */
#define ANNALS_E_DUPLICATE_ID -21

/**
 * An event matches that a condition of the batch excludes. Nothing was written: query again and
 * decide anew. See annals_error_condition.
 */
#define ANNALS_E_CONDITION -22

/** The operating system refused something: see annals_error_os_code. */
#define ANNALS_E_IO -40

/** The disk is full. Nothing was written; the store stays usable: free some space and repeat. */
#define ANNALS_E_NO_SPACE -41

/** The store is open elsewhere, in this process or in another. */
#define ANNALS_E_LOCKED -42

/** There is not enough memory. Nothing was done. */
#define ANNALS_E_NO_MEMORY -43

/**
 * A write or a sync failed, now or earlier, and nobody knows what of it is on the disk. The store
 * takes no more writes until it is opened again; reads go on. The outcome of the call that failed
 * is unknown: after reopening, settle it by the event ids or the version of the stream.
 */
#define ANNALS_E_POISONED -44

/**
 * Stored bytes are not what was written. Nothing of them was handed out. Keep a copy of the
 * directory, then run `annals verify`.
 */
#define ANNALS_E_CORRUPT -60

/** The files are of a newer version of Annals. Upgrade the library. */
#define ANNALS_E_FORMAT -61

/** The input is not what it should be: see annals_error_line. */
#define ANNALS_E_PARSE -62

/** A callback of the caller's failed: see annals_error_callback_code. */
#define ANNALS_E_CALLBACK -80

/**
 * The library failed inside, and the failure was caught. The store that was in use answers every
 * later call with this status; close it and open it again. Please report the message.
 */
#define ANNALS_E_PANIC -98

/**
 * A defect: the library contradicts itself or makes no progress. It says nothing against stored
 * bytes. Please report the message. Like ANNALS_E_PANIC, every call may answer it that can fail.
 */
#define ANNALS_E_INTERNAL -99

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that runs, such as "0.1.0": ANNALS_VERSION_STRING of its own header.
 *
 * @return A static string.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const char *annals_version(void)
ANNALS_NOEXCEPT;

/**
 * The version of the library that runs as a number: major * 1000000 + minor * 1000 + patch.
 *
 * @return ANNALS_VERSION_NUMBER of its own header.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API uint32_t annals_version_number(void) ANNALS_NOEXCEPT;

/**
 * The ABI version of the library that runs.
 *
 * @return ANNALS_ABI_VERSION of its own header.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API uint32_t annals_abi_version(void) ANNALS_NOEXCEPT;

/**
 * The name of a status, such as "ANNALS_E_VERSION_CONFLICT".
 *
 * @param status Any value.
 * @return A static string, never NULL: "ANNALS_E_UNKNOWN" or "ANNALS_UNKNOWN" for a value that
 * this version of the library does not know.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API const char *annals_status_name(int32_t status) ANNALS_NOEXCEPT;

/**
 * What a status means, in a few words. An error object tells more: see annals_error_message.
 *
 * @param status Any value.
 * @return A static string, never NULL.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API const char *annals_status_message(int32_t status) ANNALS_NOEXCEPT;

/**
 * The status that the failed call returned.
 *
 * @param error An error object, or NULL.
 * @return The status; ANNALS_OK for NULL.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API annals_status annals_error_status(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * What went wrong, in one line without a full stop, with the values that it is about.
 *
 * @param error An error object, or NULL.
 * @param out_len_or_null Receives the length of the message without its NUL.
 * @return UTF-8 that ends with a NUL, valid until the error object is freed; "" for NULL.
 *
 * Ownership: the text belongs to the error object. Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
const char *annals_error_message(const struct annals_error *error,
                                 size_t *out_len_or_null)
ANNALS_NOEXCEPT;

/**
 * The number of the operating system for what it refused (errno on POSIX systems).
 *
 * @param error An error object, or NULL.
 * @return The number; 0 where there is none.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API int32_t annals_error_os_code(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * The versions of an ANNALS_E_VERSION_CONFLICT: the first violated check of the append.
 *
 * @param error An error object, or NULL.
 * @param out_expected Receives what was expected: a version, or a constant such as
 * ANNALS_EXPECT_STREAM_EXISTS. May be NULL.
 * @param out_actual Receives the version of the stream. May be NULL.
 * @return Whether the error is a version conflict; if not, both are set to 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_versions(const struct annals_error *error,
                           uint64_t *out_expected,
                           uint64_t *out_actual)
ANNALS_NOEXCEPT;

/**
 * How many checks of the append were violated: annals_append_multi reports them all.
 *
 * @param error An error object, or NULL.
 * @return Their number; 0 when the error is no version conflict.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API size_t annals_error_conflict_count(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * One violated check of an append, in the order of its units.
 *
 * @param error An error object, or NULL.
 * @param index Counted from 0, below annals_error_conflict_count.
 * @param out_stream Receives the stream id, which also ends with a NUL and is valid until the
 * error object is freed. May be NULL.
 * @param out_len Receives the length of the stream id. May be NULL.
 * @param out_expected Receives what was expected, as annals_error_versions does. May be NULL.
 * @param out_actual Receives the version of the stream. May be NULL.
 * @return Whether there is such a check; if not, the places are set to NULL and 0.
 *
 * Ownership: the text belongs to the error object. Threads: any. Blocking: never. Since: 0.1.0
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
 * Which entry of the batch a violated check belongs to.
 *
 * @param error An error object, or NULL.
 * @param index Counted from 0, below annals_error_conflict_count.
 * @param out_which Receives the number of the annals_batch_append or annals_batch_require, counted
 * from 0 over both; of annals_append_multi, of the unit. May be NULL.
 * @return Whether there is such a check; if not, the place is set to 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_conflict_which(const struct annals_error *error,
                                 size_t index,
                                 size_t *out_which)
ANNALS_NOEXCEPT;

/**
 * How many conditions of the batch were violated. An ANNALS_E_VERSION_CONFLICT may have some as
 * well.
 *
 * @param error An error object, or NULL.
 * @return Their number; 0 for NULL and for errors of other kinds.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
size_t annals_error_condition_count(const struct annals_error *error)
ANNALS_NOEXCEPT;

/**
 * One violated condition of a batch, in the order of the calls.
 *
 * @param error An error object, or NULL.
 * @param index Counted from 0, below annals_error_condition_count.
 * @param out_which Receives the number of the annals_batch_require_none, counted from 0. May be
 * NULL.
 * @param out_position Receives the position of the first event after its `after` that matches. May
 * be NULL.
 * @return Whether there is such a condition; if not, the places are set to 0.
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
 * Where in an input the fault lies, for an import that failed.
 *
 * @param error An error object, or NULL.
 * @param out_line Receives the line, counted from 1. May be NULL.
 * @param out_column Receives the byte within the line, counted from 1; 0 when only the line is
 * known. May be NULL.
 * @return Whether a line is known; if not, both are set to 0.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
bool annals_error_line(const struct annals_error *error,
                       uint64_t *out_line,
                       uint64_t *out_column)
ANNALS_NOEXCEPT;

/**
 * What the callback returned that made the call fail with ANNALS_E_CALLBACK.
 *
 * @param error An error object, or NULL.
 * @return The value, which is below 0; 0 when no callback failed.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API int32_t annals_error_callback_code(const struct annals_error *error) ANNALS_NOEXCEPT;

/**
 * Frees an error object, and every text that was got from it.
 *
 * @param error An error object, or NULL, which is nothing to do. One that a callback was given is
 * the library's, and is left alone.
 *
 * Threads: any. Blocking: never. Since: 0.1.0
 */
ANNALS_API
void annals_error_free(struct annals_error *error)
ANNALS_NOEXCEPT;

/**
 * Makes options with the defaults: ANNALS_DURABILITY_SYNC, a cache of 64 MiB, and creating the
 * store where there is none.
 *
 * @return The options; NULL only when there is no memory.
 *
 * Ownership: the caller frees them with annals_options_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_options *annals_options_new(void) ANNALS_NOEXCEPT;

/**
 * Frees options. Stores that were opened with them are not affected.
 *
 * @param options The options, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same options. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_options_free(struct annals_options *options) ANNALS_NOEXCEPT;

/**
 * Sets when an append returns.
 *
 * @param options The options.
 * @param durability ANNALS_DURABILITY_SYNC or ANNALS_DURABILITY_BUFFERED.
 * @param max_delay_ms The longest time that a buffered event waits for its sync, in milliseconds:
 * above 0 with ANNALS_DURABILITY_BUFFERED (10 is a good value), 0 with ANNALS_DURABILITY_SYNC.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_durability(struct annals_options *options,
                                            uint32_t durability,
                                            uint32_t max_delay_ms)
ANNALS_NOEXCEPT;

/**
 * Sets about how much memory the page cache of the store takes.
 *
 * @param options The options.
 * @param bytes The size; less than 1 MiB counts as 1 MiB.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_cache_bytes(struct annals_options *options,
                                             uint64_t bytes)
ANNALS_NOEXCEPT;

/**
 * Sets whether annals_open makes a store where there is none.
 *
 * @param options The options.
 * @param create If false, opening what is not there fails with ANNALS_E_IO and the os code ENOENT.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_create(struct annals_options *options,
                                        bool create)
ANNALS_NOEXCEPT;

/**
 * Sets whether annals_open rebuilds trees that cannot be used from the journal; see
 * annals_recovery.
 *
 * @param options The options.
 * @param rebuild If false, such a store fails with ANNALS_E_CORRUPT and stays as it is. True at
 * the start.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_rebuild(struct annals_options *options,
                                         bool rebuild)
ANNALS_NOEXCEPT;

/**
 * Sets how long annals_open waits while the store is open elsewhere, before it answers
 * ANNALS_E_LOCKED.
 *
 * @param options The options.
 * @param milliseconds The time; 0, as at the start, does not wait.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_options_set_wait_ms(struct annals_options *options,
                                         uint32_t milliseconds)
ANNALS_NOEXCEPT;

/**
 * Opens the store in a directory, which is made if need be. Whatever a crash left behind is put in
 * order: an append that was acknowledged is there, one that was not is there whole or not at all.
 * One process at a time has a store open, and has it open once.
 *
 * @param path The directory, UTF-8.
 * @param path_len Its length, or ANNALS_NUL_TERMINATED.
 * @param options_or_null Options, which are copied, or NULL for the defaults.
 * @param out_store Receives the store.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_LOCKED when it is open elsewhere; ANNALS_E_INVALID_ARGUMENT for a
 * bad argument, and for a directory that is neither a store nor empty; ANNALS_E_CORRUPT;
 * ANNALS_E_FORMAT; ANNALS_E_IO, with ENOENT for a missing store that may not be created;
 * ANNALS_E_NO_SPACE; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads and
 * writes files; after a crash longer, for what has to be replayed. Since: 0.1.0
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
 * Opens a store for reading, beside the program that writes it or with nobody writing it. It takes
 * no lock, writes nothing, and needs only read permission. It never shows what is not durable.
 *
 * The store takes the calls that read; calls that write answer ANNALS_E_READ_ONLY. Each call sees
 * the last event that is durable at its time; an iterator what was there when it was made; a
 * subscription follows what any process appends. Where the journal is damaged, ANNALS_E_CORRUPT
 * comes after everything before the damage.
 *
 * @param path The directory, UTF-8.
 * @param path_len Its length, or ANNALS_NUL_TERMINATED.
 * @param out_store Receives the store.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with ENOENT when there is no store; ANNALS_E_CORRUPT;
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
 * Opens a store without files, for tests and for events that need not last: they live as long as
 * the store does.
 *
 * @param out_store Receives the store.
 * @param err Receives an error object on failure, unless NULL.
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
 * Closes a store: makes everything durable, and gives the directory free for another open. The
 * pointer is invalid afterwards, also when an error is returned, except with ANNALS_E_BUSY, which
 * is the answer while another call on the store runs, such as the one around a callback that
 * closes it.
 *
 * What was made from the store answers ANNALS_E_CLOSED from now on and still has to be freed, now
 * or later.
 *
 * @param store The store, or NULL, which is nothing to do.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_POISONED when the last sync failed, or an earlier write: events
 * whose append was acknowledged do not depend on it; ANNALS_E_BUSY, and the store is still open;
 * ANNALS_E_FORKED: in a forked child only memory is released; ANNALS_E_PANIC: also when an earlier
 * call panicked; ANNALS_E_MISUSE.
 *
 * Ownership: takes the store. Threads: any, with no other call on the same store. Blocking: writes
 * and syncs files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_close(struct annals_store *store,
                           struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Returns once every event appended so far survives a power cut. With ANNALS_DURABILITY_SYNC that
 * is so already.
 *
 * @param store The store.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_POISONED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: syncs a file. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_flush(const struct annals_store *store,
                           struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Tells the position of the last event.
 *
 * @param store The store.
 * @param out_position Receives the position; 0 when there is no event.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_head(const struct annals_store *store,
                          uint64_t *out_position,
                          struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Tells how many events a stream has, which is the version of its last one.
 *
 * @param store The store.
 * @param stream The stream id.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out_version Receives the version; 0 when there is no such stream.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT and ANNALS_E_LIMIT for what is no stream id;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * Copies a store to a directory while it is in use: every event up to the head of this moment,
 * checkpoints and snapshots. The copy is opened as any other store; the first open builds its
 * trees. A new directory appears under its name when it is complete and durable; an empty one is
 * replaced, an earlier backup of the same store is continued, and anything else is never
 * overwritten.
 *
 * @param store The store.
 * @param path The directory, UTF-8.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with EEXIST when something else is there; ANNALS_E_LOCKED while
 * the backup is open; ANNALS_E_CORRUPT when events cannot be read; ANNALS_E_NO_SPACE;
 * ANNALS_E_INVALID_ARGUMENT, also for a store in memory, a path in the store itself, and the
 * backup of another history; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: reads and writes files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_backup(const struct annals_store *store,
                            const char *path,
                            size_t len,
                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Appends events to a stream: all of them or none, also through a crash. With
 * ANNALS_DURABILITY_SYNC it returns once the events survive a power cut. Concurrent appends share
 * one write and one sync.
 *
 * The events are written only if the stream is as expected. `expected_version` is the number of
 * events that it must have, or ANNALS_EXPECT_ANY, ANNALS_EXPECT_STREAM_EXISTS or
 * ANNALS_EXPECT_NO_STREAM. So of two writers that read the same version exactly one wins; the
 * other gets ANNALS_E_VERSION_CONFLICT, reads again and decides anew.
 *
 * Repeating is safe with ids: if every event has an id, and all of them are stored already, at
 * consecutive positions, in this order, in this stream, each with the same type, data,
 * metadata and tags, then the append succeeds again, with ANNALS_ALREADY_STORED and the original
 * result, and writes nothing, whatever the expected version. Times are not compared.
 *
 * With ANNALS_E_POISONED from this very call its outcome is unknown until the store is opened
 * again; then the event ids or the version of the stream settle it.
 *
 * @param store The store.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param expected_version What is expected of the stream.
 * @param events The events; see annals_new_event. They are copied.
 * @param n How many: 1 to 100000.
 * @param out_first_position Receives the position of the first event; the others follow it. May be
 * NULL.
 * @param out_first_version Receives the version of the first event; the others follow it. May be
 * NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_DUPLICATE_ID;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT: an event of more than 16 MiB, an append of more than
 * 64 MiB or too many events; ANNALS_E_UNSUPPORTED: a field of a newer version; ANNALS_E_NO_SPACE;
 * ANNALS_E_POISONED; ANNALS_E_CORRUPT and ANNALS_E_IO: a check could not read what it rests on;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: writes and syncs a file, and waits while earlier events
 * are moved out of memory. Since: 0.1.0
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
 * Appends to several streams as one atomic unit: readers and crashes see all of it or nothing.
 *
 * The units apply in order, and each check sees the units before it, so that a stream may come
 * twice. A unit without events is a pure check of its stream. Positions are consecutive over all
 * events. Every violated check is reported: see annals_error_conflict.
 *
 * @param store The store.
 * @param units The units; see annals_unit. They are copied.
 * @param n How many. Together they need at least one event, and at most 100000.
 * @param out_first_position Receives the position of the first event. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_DUPLICATE_ID;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED; ANNALS_E_NO_SPACE;
 * ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL; ANNALS_E_PANIC: each as for annals_append.
 *
 * Threads: any number at once. Blocking: as annals_append. Since: 0.1.0
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
 * Makes a batch without entries.
 *
 * @return The batch; NULL only when there is no memory.
 *
 * Ownership: the caller frees it with annals_batch_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_batch *annals_batch_new(void) ANNALS_NOEXCEPT;

/**
 * Adds events to append to a stream if it is as expected. The entries of a batch apply in order,
 * and each check sees the entries before it, so that a stream may come twice.
 *
 * A call that fails adds nothing, and the batch is never written without that part:
 * annals_batch_commit and annals_batch_submit then return the same status.
 *
 * @param batch The batch.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param expected_version What is expected of the stream: see annals_append.
 * @param events The events; see annals_new_event. They are copied.
 * @param n How many: 1 to 100000.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE: also after annals_batch_commit or annals_batch_submit;
 * ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
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
 * Requires that a stream is as expected, and writes nothing to it. As annals_batch_append
 * otherwise.
 *
 * @param batch The batch.
 * @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param expected_version What is expected of the stream: see annals_append.
 * @param err Receives an error object on failure, unless NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
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
 * Requires that no event after a position matches a query. What a decision rests on is protected
 * so: `after` is the head that annals_query_read gave with the events. A batch does not conflict
 * with its own events.
 *
 * @param batch The batch. It may have up to 100 conditions; one more is ANNALS_E_LIMIT here.
 * @param query The query, which is copied.
 * @param after The position: 0 means that no event at all may match. One past the head is no
 * error: nothing can match yet.
 * @param err Receives an error object on failure, unless NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_require_none(struct annals_batch *batch,
                                        const struct annals_query *query,
                                        uint64_t after,
                                        struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Saves the checkpoint of a consumer in the same unit, so that a restart repeats nothing. A batch
 * may consist of checkpoints alone.
 *
 * @param batch The batch.
 * @param name The name of the consumer, once in a batch: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param position How far it has come: at most the head that the batch makes.
 * @param err Receives an error object on failure, unless NULL.
 * @return As annals_batch_append.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
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
 * Writes a batch as one atomic unit, and returns once it is as durable as an append would be.
 * Readers and crashes see all of it or nothing. Positions are consecutive over all events.
 *
 * The batch is spent, whatever the result: from then on it can only be freed. So no unit is
 * written twice by accident. For another try build it again; with ids on its events that is safe.
 *
 * Faults are looked for in the order arguments, limits, ids, versions, conditions, checkpoints.
 * Every violated check and condition is in the error object: see annals_error_conflict and
 * annals_error_condition.
 *
 * An exact retry by event ids, as for annals_append, writes no event. A checkpoint in it is saved
 * if it is ahead of the stored one, and ignored otherwise. In any other batch a checkpoint that
 * goes back or past the new head is refused.
 *
 * @param batch The batch.
 * @param store The store.
 * @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
 * checkpoints alone.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_CONDITION: no
 * version is violated, but a condition is; otherwise as annals_append; ANNALS_E_READ_ONLY.
 *
 * Threads: any, one at a time. Blocking: as annals_append. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_batch_commit(struct annals_batch *batch,
                                  const struct annals_store *store,
                                  uint64_t *out_first_position_or_null,
                                  struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Queues a batch to be written, and returns at once. The ticket has the outcome, a conflict as
 * well. So one thread has many batches in flight, which share their syncs.
 *
 * What one thread submits, commits and appends takes its positions in the order of its calls. Each
 * batch is decided on its own: a refused one stops none after it. The queue holds up to 1024
 * batches or 64 MiB of events; then the call waits for room, but never inside a callback. The
 * first call starts a thread of the store, which also runs the callbacks of live projections for
 * submitted batches.
 *
 * The batch is spent, as by annals_batch_commit.
 *
 * @param batch The batch.
 * @param store The store.
 * @param out Receives the ticket.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT and ANNALS_E_IO:
 * a check could not read what it rests on; ANNALS_E_POISONED; ANNALS_E_READ_ONLY; ANNALS_E_CLOSED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
 * ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the ticket with annals_ticket_free. Threads: any, one at a time.
 * Blocking: while the queue is full; may read files. Since: 0.1.0
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
 * @param batch The batch, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same batch. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_batch_free(struct annals_batch *batch) ANNALS_NOEXCEPT;

/**
 * Waits for what annals_batch_commit would have returned. Asked again, it returns the same.
 *
 * @param ticket The ticket.
 * @param timeout_ms How long to wait, in milliseconds; 0 does not wait; below 0 waits without a
 * limit.
 * @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
 * checkpoints alone.
 * @param err Receives an error object on failure, unless NULL.
 * @return As annals_batch_commit; ANNALS_TIMEOUT: the outcome is not known yet; ANNALS_E_BUSY
 * inside a callback of a live projection, for which the outcome may have to wait.
 *
 * Threads: any number at once. Blocking: up to the timeout. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_ticket_wait(const struct annals_ticket *ticket,
                                 int64_t timeout_ms,
                                 uint64_t *out_first_position_or_null,
                                 struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Frees a ticket. It cancels nothing and waits for nothing.
 *
 * @param ticket The ticket, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same ticket. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_ticket_free(struct annals_ticket *ticket) ANNALS_NOEXCEPT;

/**
 * Makes read options that read everything, forwards.
 *
 * @return The read options; NULL only when there is no memory.
 *
 * Ownership: the caller frees them with annals_read_options_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
struct annals_read_options *annals_read_options_new(void)
ANNALS_NOEXCEPT;

/**
 * Frees read options. Iterators that were made with them are not affected.
 *
 * @param options The read options, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same read options. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_read_options_free(struct annals_read_options *options) ANNALS_NOEXCEPT;

/**
 * Sets the direction.
 *
 * @param options The read options.
 * @param backward Whether to read from the last event to the first.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_backward(struct annals_read_options *options,
                                               bool backward)
ANNALS_NOEXCEPT;

/**
 * Sets how many events are read at most, counted after the filters.
 *
 * @param options The read options.
 * @param limit The number; 0 reads nothing.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_limit(struct annals_read_options *options,
                                            uint64_t limit)
ANNALS_NOEXCEPT;

/**
 * Sets the version of the stream at which reading starts, inclusive. Unset: the first event, or
 * backwards the last. Only for annals_read_stream: annals_read_all refuses it.
 *
 * @param options The read options.
 * @param version The version.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_from_version(struct annals_read_options *options,
                                                   uint64_t version)
ANNALS_NOEXCEPT;

/**
 * Sets the position in the store at which reading starts, inclusive. Unset: the first event, or
 * backwards the last.
 *
 * @param options The read options.
 * @param position The position.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_from_position(struct annals_read_options *options,
                                                    uint64_t position)
ANNALS_NOEXCEPT;

/**
 * Adds an event type to those that are read. Without any, all are.
 *
 * @param options The read options.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_add_type(struct annals_read_options *options,
                                           const char *type,
                                           size_t len)
ANNALS_NOEXCEPT;

/**
 * Reads only streams whose ids start with a text. Only for annals_read_all: annals_read_stream
 * refuses it.
 *
 * @param options The read options.
 * @param prefix The text, which is copied; an empty one takes the filter away.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT: longer than any stream id;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_stream_prefix(struct annals_read_options *options,
                                                    const char *prefix,
                                                    size_t len)
ANNALS_NOEXCEPT;

/**
 * Reads only events that match a query. For annals_read_all and annals_subscribe, and not beside
 * types or a stream prefix: the items of the query have types and streams.
 *
 * @param options The read options.
 * @param query The query, which is copied.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_query(struct annals_read_options *options,
                                            const struct annals_query *query)
ANNALS_NOEXCEPT;

/**
 * Sets the position in the store at which reading ends, inclusive, in the direction of reading:
 * forwards no event after it is read, backwards none before it. For annals_read_all and
 * annals_read_stream; annals_subscribe and annals_query_read refuse it.
 *
 * @param options The read options.
 * @param position The position.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_until_position(struct annals_read_options *options,
                                                     uint64_t position)
ANNALS_NOEXCEPT;

/**
 * Leaves out the events with an earlier time. Times are compared as annals_event has them, in
 * microseconds since the Unix epoch, and need not rise with the positions. For annals_read_all and
 * annals_read_stream; annals_subscribe and annals_query_read refuse it.
 *
 * @param options The read options.
 * @param timestamp_us The earliest time, inclusive: one of the years 1 to 9999.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_since(struct annals_read_options *options,
                                            int64_t timestamp_us)
ANNALS_NOEXCEPT;

/**
 * Leaves out the events with a later time. See annals_read_options_set_since.
 *
 * @param options The read options.
 * @param timestamp_us The latest time, inclusive: one of the years 1 to 9999.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_options_set_until(struct annals_read_options *options,
                                            int64_t timestamp_us)
ANNALS_NOEXCEPT;

/**
 * Makes a query without items: ANNALS_E_INVALID_ARGUMENT wherever it is used, until an item is
 * added.
 *
 * @return The query; NULL only when there is no memory.
 *
 * Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_query *annals_query_new(void) ANNALS_NOEXCEPT;

/**
 * Makes the query that every event matches. It takes no item.
 *
 * @return The query; NULL only when there is no memory.
 *
 * Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API ANNALS_NODISCARD struct annals_query *annals_query_new_all(void) ANNALS_NOEXCEPT;

/**
 * Adds an item. An event matches it when its type is one of these types, it has all of these tags,
 * and it is of this stream; each where one is given. On an error nothing is added.
 *
 * @param query The query. It takes up to 1000 items.
 * @param types The types, up to 1000, which are copied; NULL with a count of 0 for any type.
 * @param type_count How many.
 * @param tags The tags, up to 1000, which are copied; NULL with a count of 0 where none is asked
 * for.
 * @param tag_count How many.
 * @param stream The stream id, or NULL for any stream. An empty one is invalid.
 * @param stream_len Its length, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT: also for an item that restricts nothing, for which
 * there is annals_query_new_all; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
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
 * @param query The query, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same query. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_query_free(struct annals_query *query) ANNALS_NOEXCEPT;

/**
 * Reads the events that match a query, in the order of their positions.
 *
 * @param store The store.
 * @param query The query, which is copied.
 * @param options_or_null Direction, limit and a position to start at, which are copied. Another
 * choice in it is refused.
 * @param out Receives the iterator.
 * @param out_head_or_null Receives at once what a decision that rests on these events gives as
 * `after` to annals_batch_require_none: the head of the store when the read began; forwards with a
 * limit that is reached, the position of the last event that comes out; with a limit of 0, 0.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT and ANNALS_E_IO:
 * the events up to the limit could not be read; ANNALS_E_CLOSED; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. What is wrong with the events
 * shows in annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: any number at once. Blocking: may read files for out_head_or_null.
 * Since: 0.1.0
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
 * Reads the events of one stream, in the order of their versions.
 *
 * @param store The store.
 * @param stream The stream id. A stream without events is an empty one, not an error.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param options What to read, which is copied, or NULL for everything, forwards.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. What is wrong with the events
 * shows in annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: any number at once. Blocking: never. Since: 0.1.0
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
 * @param options What to read, which is copied, or NULL for everything, forwards.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. What is wrong with the events shows in
 * annals_iter_next.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_read_all(const struct annals_store *store,
                              const struct annals_read_options *options,
                              struct annals_iter **out,
                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Takes the next event.
 *
 * @param iter The iterator.
 * @param out_event Receives a view of the event, valid until the next call on this iterator or its
 * free; NULL with any other result than ANNALS_OK.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end, and from then on; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; each of them also from then on; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the view belongs to the iterator. Threads: any, one at a time. Blocking: may read
 * files. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_iter_next(struct annals_iter *iter,
                               const struct annals_event **out_event,
                               struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Takes several events at once, which costs less than one at a time.
 *
 * @param iter The iterator.
 * @param max How many at most, above 0. Fewer may come also before the end, because a batch holds
 * at most 4096 events and some MiB: only ANNALS_DONE is the end.
 * @param out_events Receives an array of views, valid until the next call on this iterator or its
 * free; NULL with any other result than ANNALS_OK.
 * @param out_n Receives how many events the array has, at least 1 with ANNALS_OK.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end, and from then on; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; each of them once the events before it have been taken, and from then on;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the views belong to the iterator. Threads: any, one at a time. Blocking: may read
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
 * Frees an iterator, and every view that was got from it.
 *
 * @param iter The iterator, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same iterator. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API void annals_iter_free(struct annals_iter *iter) ANNALS_NOEXCEPT;

/**
 * Finds the event with an id.
 *
 * @param store The store.
 * @param id The 16 bytes of the id.
 * @param out Receives an iterator over that one event; NULL if there is none.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND when no event has the id; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK when an upcaster failed; ANNALS_E_CLOSED;
 * ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
 * closed. Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * @param prefix Only streams whose ids start with this text; (NULL, 0) for all.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out Receives the iterator.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the iterator with annals_stream_iter_free, before or after the store
 * is closed. Threads: any number at once. Blocking: never. Since: 0.1.0
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
 * Takes the next stream.
 *
 * @param iter The iterator.
 * @param out_name Receives the stream id, which also ends with a NUL, valid until the next call on
 * this iterator or its free; NULL with any other result than ANNALS_OK.
 * @param out_len Receives the length of the stream id. May be NULL.
 * @param out_version Receives the version of the stream: how many events it has. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE at the end, and from then on; ANNALS_E_CORRUPT; ANNALS_E_IO;
 * ANNALS_E_CLOSED; each of them also from then on; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the name belongs to the iterator. Threads: any, one at a time. Blocking: may read
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
 * Frees an iterator, and the name that was got from it.
 *
 * @param iter The iterator, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same iterator. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_stream_iter_free(struct annals_stream_iter *iter) ANNALS_NOEXCEPT;

/**
 * Tells how far a named consumer has come: everything at or below the position is done.
 *
 * @param store The store.
 * @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out_position Receives the position; 0 when the consumer has saved none.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT and ANNALS_E_LIMIT for what is no name;
 * ANNALS_E_CORRUPT when the checkpoint is damaged; ANNALS_E_IO; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * Saves how far a named consumer has come, as durably as an append, and together with concurrent
 * appends. A checkpoint never goes back, and is never ahead of the events that are durable; saving
 * the same position again writes nothing.
 *
 * @param store The store.
 * @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. Checkpoints have a
 * namespace of their own.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param position The position of the last event that it is done with.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT for a position below the saved one or past the
 * head, and for what is no name; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
 * ANNALS_E_POISONED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: writes and syncs a file. Since: 0.1.0
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
 * Subscribes to all events from a position on. A subscription remembers nothing: a consumer that
 * goes on after a restart saves a checkpoint, and subscribes after it.
 *
 * @param store The store.
 * @param from_position The position of the first event, inclusive; 0 and 1 are the beginning. One
 * past the head waits for that event.
 * @param options Event types, a stream prefix and a limit, which are copied, or NULL for all
 * events. A direction, a version or a position in it is refused.
 * @param out Receives the subscription.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the subscription with annals_subscription_free, before or after the
 * store is closed. Threads: any number at once. Blocking: never. Since: 0.1.0
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
 * Takes the next event, and waits for it if need be.
 *
 * @param subscription The subscription.
 * @param timeout_ms How long to wait at most, in milliseconds; 0 does not wait, below 0 waits for
 * ever. Passing over stored events that do not pass the filters is not waiting.
 * @param out_event Receives a view of the event, valid until the next call of this function on the
 * subscription or its free; NULL with any other result than ANNALS_OK.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_TIMEOUT; ANNALS_DONE when it was cancelled, or its limit is reached;
 * ANNALS_E_CLOSED, also while it waits; ANNALS_E_CORRUPT and ANNALS_E_IO, after which a repeated
 * call tries the same event again; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the view belongs to the subscription. Threads: any, one at a time. Blocking: waits,
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
 * Ends a subscription: it delivers nothing more, and a call that waits returns ANNALS_DONE. It
 * never waits, and may be repeated.
 *
 * @param subscription The subscription, or NULL, which is nothing to do.
 *
 * Threads: any number at once, also while annals_subscription_next runs; only not with
 * annals_subscription_free. Blocking: never. Since: 0.1.0
 */
ANNALS_API
void annals_subscription_cancel(const struct annals_subscription *subscription)
ANNALS_NOEXCEPT;

/**
 * Cancels and frees a subscription, and the view that was got from it.
 *
 * @param subscription The subscription, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same subscription. Blocking: never. Since: 0.1.0
 */
ANNALS_API
void annals_subscription_free(struct annals_subscription *subscription)
ANNALS_NOEXCEPT;

/**
 * Saves bytes that were derived from the events up to a position, as durably as an append, and
 * never ahead of the events. Of each name the snapshots with the two highest positions are kept;
 * one for the same position is replaced.
 *
 * @param store The store.
 * @param name The name: 1 to 255 bytes of UTF-8 without NUL. These snapshots have a namespace of
 * their own, apart from that of projections.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param position The position of the last event that the bytes take account of.
 * @param data The bytes, which are copied; NULL when there are none.
 * @param n How many: at most 64 MiB.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT for a position past the head, and for what is no
 * name; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: writes and syncs a file. Since: 0.1.0
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
 * Loads the newest usable snapshot of a name: that with the highest position. One that is damaged,
 * of another store, or ahead of the log is left aside; annals_verify tells it.
 *
 * @param store The store.
 * @param name The name.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out Receives the snapshot; NULL with any other result than ANNALS_OK.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND when there is none to use; ANNALS_E_INVALID_ARGUMENT and
 * ANNALS_E_LIMIT for what is no name; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the snapshot with annals_snapshot_free, before or after the store is
 * closed. Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * The position of the last event that a snapshot takes account of.
 *
 * @param snapshot The snapshot.
 * @return The position; 0 for what is no snapshot, and for one of the empty store.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
uint64_t annals_snapshot_position(const struct annals_snapshot *snapshot)
ANNALS_NOEXCEPT;

/**
 * The bytes of a snapshot, as they were saved.
 *
 * @param snapshot The snapshot.
 * @param out_len Receives how many there are. May be NULL.
 * @return The bytes, valid until the snapshot is freed; NULL for what is no snapshot.
 *
 * Ownership: the bytes belong to the snapshot. Threads: any number at once. Blocking: never.
 * Since: 0.1.0
 */
ANNALS_API
const uint8_t *annals_snapshot_data(const struct annals_snapshot *snapshot,
                                    size_t *out_len)
ANNALS_NOEXCEPT;

/**
 * Frees a snapshot, and its bytes.
 *
 * @param snapshot The snapshot, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same snapshot. Blocking: never. Since: 0.1.0
 */
ANNALS_API void annals_snapshot_free(struct annals_snapshot *snapshot) ANNALS_NOEXCEPT;

/**
 * Tells whether a projection goes on.
 *
 * @param projection The projection.
 * @param err Receives the error that stopped it, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when a callback has stopped it; the error that stopped it, such
 * as ANNALS_E_CALLBACK: annals_projection_catch_up and annals_projection_live go on at that event;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_state(const struct annals_projection *projection,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * The position of the last event that a projection has taken account of, or passed over because
 * there is no callback for its type. Inside a callback: that of the event before.
 *
 * @param projection The projection.
 * @return The position; 0 at first, and for what is no projection.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
uint64_t annals_projection_position(const struct annals_projection *projection)
ANNALS_NOEXCEPT;

/**
 * Ends and frees a projection. It waits for a callback that runs on another thread, hands all user
 * data back, and afterwards no callback runs. Called by one of its own callbacks, or by a callback
 * that one of its own waits for, it does not wait: its own callback is the last one, and what is
 * left to do follows when that returns.
 *
 * @param projection The projection, or NULL, which is nothing to do.
 *
 * Threads: any, with no other call on the same projection but those of its own callbacks.
 * Blocking: waits for a callback. Since: 0.1.0
 */
ANNALS_API
void annals_projection_free(struct annals_projection *projection)
ANNALS_NOEXCEPT;

/**
 * Makes a projection that has seen no event yet.
 *
 * @param store The store.
 * @param name The name, under which its snapshots are kept: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out Receives the projection.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: the caller frees the projection with annals_projection_free, before or after the
 * store is closed. Threads: any number at once. Blocking: never. Since: 0.1.0
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
 * Registers a callback for a type of event, in place of the one before. Events of types without a
 * callback are passed over.
 *
 * A callback should depend on nothing but the state and the event: after a restart from an older
 * snapshot it is given events again. One that fails must leave the caller's state as it was before
 * the event. It may read and append; what it appends comes to its own projection when it has
 * returned.
 *
 * @param projection The projection, not yet live.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param handler Takes each event of the type: in annals_projection_catch_up on the thread of that
 * call, once live on a thread that appends; never two at once for a projection.
 * @param user_data Handed to `handler`.
 * @param destroy Takes `user_data` back: when the callback is replaced, when the projection is
 * freed, and when this call fails. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Ownership: takes `user_data`, and hands it back through `destroy`, exactly once. Threads: any,
 * one at a time. Blocking: never. Since: 0.1.0
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
 * Sets the version of a projection: raise it when its callbacks change the meaning of its state.
 * Snapshots of another version are left aside.
 *
 * @param projection The projection.
 * @param version The version; 0 unless it is set.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY while another call on it runs; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_set_version(struct annals_projection *projection,
                                            uint32_t version,
                                            struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Gives the callbacks every event up to the head of this moment. What they append comes with the
 * next call. A live projection goes on where it has stopped.
 *
 * @param projection The projection.
 * @param out_processed Receives how many events it has got past, those without a callback
 * included. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when a callback stopped it: the next call goes on after that
 * event; ANNALS_E_CALLBACK when one failed: the next call goes on at that event; ANNALS_E_CORRUPT;
 * ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY while
 * another call on it runs, and for a live one in a callback of a live projection; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_catch_up(struct annals_projection *projection,
                                         uint64_t *out_processed,
                                         struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Catches up, and makes the projection follow every append from then on: it is up to date when an
 * append returns, whichever thread appends. One that is live already goes on where it has stopped.
 *
 * A callback that fails stops its own projection and changes nothing else: the append stands, and
 * other projections go on. annals_projection_state tells. One that returns a value above 0 stops
 * it after that event. A callback may append, to its own store without any further thought; to
 * another one only if no callback there appends to this one, or they may wait for each other.
 *
 * @param projection The projection.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when a callback stopped it: this function goes on after that
 * event, whether it was live by then or not; as annals_projection_catch_up otherwise.
 *
 * Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_live(struct annals_projection *projection,
                                     struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Lets a live projection go on after the event at which a callback has failed: the callback is not
 * given that event again, and the position moves past it. Where no callback has failed nothing is
 * left out, and this does what annals_projection_live does.
 *
 * A projection that starts again from an earlier snapshot, or from the beginning, meets the event
 * again.
 *
 * @param projection The projection, which is live.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when a callback stopped it after a later event;
 * ANNALS_E_CALLBACK when one failed at a later event; ANNALS_E_CORRUPT and ANNALS_E_IO: what
 * stopped it was not a callback; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT, also for one that is
 * not live; ANNALS_E_MISUSE; ANNALS_E_BUSY while another call on it runs, and in a callback of a
 * live projection; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_resume_after(struct annals_projection *projection,
                                             struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Saves the caller's state of a projection, with its name, its version and the position it has
 * come to, as durably as an append. The newest and one older are kept.
 *
 * @param projection The projection. Once it is live, call this when no other thread appends: the
 * position is that of the moment, and the state must be that of the same moment. The caller must
 * hold no lock that a callback takes.
 * @param state The bytes, which are copied; NULL when there are none.
 * @param n How many: at most 64 MiB.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY inside a callback of this projection, and while another call on
 * it runs; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
 * ANNALS_E_POISONED; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: waits for a callback, writes and syncs a file.
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
 * Goes on from the newest usable snapshot of the name and version: hands it to a callback, and
 * sets the position when that has taken it. One that is damaged, of another version or store, or
 * ahead of the log is left aside, and the events are replayed.
 *
 * @param projection The projection, not yet live.
 * @param restore Takes the snapshot, on this thread.
 * @param user_data Handed to `restore`.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_NOT_FOUND when there is none to use; ANNALS_DONE when the callback
 * left it aside; ANNALS_E_CALLBACK when it failed; with all but ANNALS_OK nothing has changed;
 * ANNALS_E_BUSY once it is live, and while another call on it runs; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: may read files, and runs the callback. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_load_snapshot(struct annals_projection *projection,
                                              annals_restore_fn restore,
                                              void *user_data,
                                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Goes back to before the first event. The caller's state is the caller's business, and snapshots
 * stay.
 *
 * @param projection The projection, not yet live.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any, one at a time. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_projection_reset(struct annals_projection *projection,
                                      struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Hands the events of one stream to a callback, in the order of their versions, up to a point, so
 * that it can derive the state that the stream had there.
 *
 * @param store The store.
 * @param stream The stream id. A stream without events is an empty one, not an error.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param up_to_kind What `up_to` is: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION, ANNALS_UP_TO_POSITION
 * or ANNALS_UP_TO_TIMESTAMP.
 * @param up_to The point, inclusive.
 * @param apply Takes each event, on this thread. It may use the store.
 * @param user_data Handed to `apply`.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when the callback stopped; ANNALS_E_CALLBACK when it failed;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * As annals_reconstruct_state, and reports the version and the position of the last event of the
 * stream up to the point: what an append that rests on the state expects, and what a snapshot of
 * it is saved for. They do not depend on where the callback stops.
 *
 * @param store The store.
 * @param stream The stream id. A stream without events is an empty one, not an error.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param up_to_kind What `up_to` is: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION, ANNALS_UP_TO_POSITION
 * or ANNALS_UP_TO_TIMESTAMP.
 * @param up_to The point, inclusive.
 * @param apply Takes each event, on this thread. It may use the store.
 * @param user_data Handed to `apply`.
 * @param out_version Receives the version; 0 when there is no event. May be NULL.
 * @param out_position Receives the position; 0 when there is no event. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when the callback stopped; ANNALS_E_CALLBACK when it failed;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: may read files. Since: 0.1.0
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
 * Writes every event up to the last one of this moment as NDJSON, one event a line, byte for byte
 * as Python's json.dumps would.
 *
 * @param store The store.
 * @param write Takes the bytes, in large pieces that end anywhere.
 * @param user_data Handed to `write`.
 * @param out_events Receives how many whole lines `write` has taken, also on an error. May be
 * NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when `write` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT;
 * ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: reads files, and for as long as `write` takes.
 * Since: 0.1.0
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
 * Writes every event up to the last one of this moment as NDJSON to a new file. The file appears
 * under its name when it is complete and durable; what has the name already is never overwritten.
 *
 * @param store The store.
 * @param path The file, UTF-8.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out_events Receives how many events the file has; 0 on an error, when there is no file.
 * May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_IO, with EEXIST when the name is taken; ANNALS_E_NO_SPACE;
 * ANNALS_E_CORRUPT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: reads and writes files. Since: 0.1.0
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
 * Appends the events that the input has, one a line, in durable batches of a few thousand. A fault
 * costs its batch alone: the batches before it stay.
 *
 * @param store The store.
 * @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
 * @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
 * @param read Gives the bytes.
 * @param user_data Handed to `read`.
 * @param out_events Receives how many events were written, also on an error. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when `read` asked to stop; ANNALS_E_PARSE: see annals_error_line;
 * ANNALS_E_DUPLICATE_ID; ANNALS_E_CALLBACK; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_POISONED;
 * ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT, also when `read` tells more bytes than
 * it had room for; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: as annals_append, and for as long as `read` takes.
 * Since: 0.1.0
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
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param out_events Receives how many events were written, also on an error. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_PARSE: see annals_error_line; ANNALS_E_DUPLICATE_ID; ANNALS_E_LIMIT;
 * ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
 * ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: as annals_append, and reads the file. Since: 0.1.0
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
 * Adds an upcaster: a step that brings the data of a type of event from one schema version to the
 * next one as events are read, by whatever function, and before the callbacks of projections see
 * them. What is stored, exported and backed up stays as it is.
 *
 * The schema version of an event is the number `schema_version` in its metadata; without it, 1.
 * The first step of a type may be from any version; each further one continues the step before.
 * Binary data passes unchanged. A projection whose callbacks rely on the new shape needs another
 * version: see annals_projection_set_version.
 *
 * @param options The options. Stores that are opened with them from now on have the step; stores
 * that are open already do not.
 * @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param from_version The schema version that the step changes, from 1 to UINT32_MAX - 1.
 * @param upcast Changes an event.
 * @param user_data Handed to `upcast`.
 * @param destroy Takes `user_data` back when the options, and every store that was opened with
 * them and what was made from it, are freed, and when this call fails. May be NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT, also for a step that does not continue the one
 * before; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
 *
 * Ownership: takes `user_data`, and hands it back through `destroy`, exactly once. Threads: any,
 * one at a time. Blocking: never. Since: 0.1.0
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
 * Checks the whole store up to its last event and reports what is wrong; it changes nothing.
 * Checked are every checksum, every number, every index entry, and the two copies of every event
 * against each other. Appends and reads may go on meanwhile.
 *
 * @param store The store.
 * @param finding Called for each finding, when the check is over; NULL just to count them.
 * @param user_data Handed to `finding`.
 * @param out_events Receives how many events were read and found intact. May be NULL.
 * @param out_findings Receives how many findings there are, at most 1000; 0 for an intact store.
 * May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK, with findings or without; ANNALS_DONE when `finding` asked to stop;
 * ANNALS_E_CALLBACK; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
 * ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: reads every file, twice. Since: 0.1.0
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
 * Tells what annals_open had to repair: trees that are missing or damaged are rebuilt from the
 * journal, and the old ones are kept as trees.damaged-1 and so on.
 *
 * @param store The store.
 * @param out_rebuilt_events Receives how many events the trees were rebuilt from; 0 when nothing
 * had to be done. May be NULL.
 * @param out_micros Receives how long that took, in microseconds. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
 * ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
 */
ANNALS_API
ANNALS_NODISCARD
annals_status annals_recovery(const struct annals_store *store,
                              uint64_t *out_rebuilt_events,
                              uint64_t *out_micros,
                              struct annals_error **err)
ANNALS_NOEXCEPT;

/**
 * Repairs a store that is not open, or shows how: what one copy of the events has lost is written
 * anew from the other, and where only the journal has events and is damaged, it is cut off. What
 * is replaced is kept under its name with .damaged-1 and so on. A plan is made on a private copy
 * in /tmp.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param flags 0, or ANNALS_REPAIR_APPLY with or without ANNALS_REPAIR_DISCARD_EVIDENCE.
 * @param finding Called for each step, and then for each thing that cannot be repaired, when the
 * repair is over; NULL not to be called.
 * @param user_data Handed to `finding`.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when `finding` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_LOCKED
 * while the store is open; ANNALS_E_CORRUPT when nothing of it can be used; ANNALS_E_FORMAT;
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
 * Writes every event of a store that can be read from either copy as NDJSON, in order. The store
 * need not open, and may be in use; nothing of it is changed. It works on a private copy in /tmp.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param write Takes the bytes, in pieces that end anywhere.
 * @param missing Called for each range of positions that is lost, when the rest is written; NULL
 * not to be called.
 * @param user_data Handed to `write` and `missing`.
 * @param out_events Receives how many events were written. May be NULL.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when a callback asked to stop; ANNALS_E_CALLBACK;
 * ANNALS_E_CORRUPT when nothing can be used; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
 * ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
 *
 * Threads: any. Blocking: reads and writes files, and for as long as `write` takes. Since: 0.1.0
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
 * Writes a store that is not open anew, and puts that in its place: small files are merged, and
 * the events of a stream lie close together. No event is removed. Killed at any point, a whole
 * store is at `path`.
 *
 * @param path The store's directory, UTF-8.
 * @param len Its length, or ANNALS_NUL_TERMINATED.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_E_LOCKED while the store is open; ANNALS_E_CORRUPT for a store with
 * damage; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
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
 * Writes what the store has done since it was opened as one JSON object: counters, and for times
 * and sizes objects with `count`, `sum`, `max`, `p50`, `p90`, `p99` and `p999`. Names end with
 * their unit. `append_nanos` times successful appends and `ticket_nanos` successful submitted
 * batches; `append_conflicts` and `append_replays` count conflicts and exact retries, and
 * `events_written` events; `group_requests` says how many appends shared a write; `sync_nanos`
 * times the syncs of the journal; `drain_nanos` and `events_drained` are about the moves into the
 * trees; `page_nanos` times the reads of files, and `tail_pages` counts the reads that needed no
 * file; `version_cache_hits` and `version_cache_misses`; `tail_bytes` of memory. Later versions
 * add members.
 *
 * @param store The store.
 * @param write Takes the object, in one piece.
 * @param user_data Handed to `write`.
 * @param err Receives an error object on failure, unless NULL.
 * @return ANNALS_OK; ANNALS_DONE when `write` returned a value above 0; ANNALS_E_CALLBACK when it
 * failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
 * ANNALS_E_FORKED; ANNALS_E_PANIC.
 *
 * Threads: any number at once. Blocking: never. Since: 0.1.0
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
