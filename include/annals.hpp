/// @file annals.hpp
///
/// Annals for C++17. The C functions of annals.h become objects that free themselves, with ranges,
/// `std::string_view`, lambdas, and exceptions.
///
/// @code{.cpp}
/// #include <annals.hpp>
/// #include <iostream>
///
/// int main() {
///   annals::store store("orders.annals");
///   store.append("order-7", annals::any_version,
///                {annals::new_event("OrderPlaced", R"({"customer": "ada"})"),
///                 annals::new_event("ItemAdded", R"({"sku": "tea"})")});
///   for (const annals::event &event : store.read_stream("order-7")) {
///     std::cout << event.version() << ' ' << event.type() << ' ' << event.text() << '\n';
///   }
///   store.close();
/// }
/// @endcode
///
/// - **Errors** are thrown as annals::error, a std::runtime_error with the status and details, such
///   as the versions of a conflict or the line of a bad input. If ANNALS_NO_EXCEPTIONS is defined,
///   nothing is thrown: each function that can fail returns an annals::result instead, and there is
///   no constructor that could throw.
/// - **Objects** that own an object of the C functions can be moved but not copied. A moved-from
///   object is empty; calls on it are errors.
/// - **Threads**: an annals::store is thread-safe. Any other object may be used by one thread at a
///   time, unless its class says otherwise.
/// - **Views**, such as annals::event, are valid until the next step of the object that they came
///   from.
/// - **Callbacks** may throw: the call that runs the callback rethrows the exception. They return
///   nothing, or `true` to continue and `false` to stop. There are two exceptions: handlers of live
///   projections run inside appends, see annals::projection; and when an upcaster throws, the read
///   fails with ANNALS_E_CALLBACK.
///
/// Everything is inline: link only the library itself.

#ifndef ANNALS_HPP
#define ANNALS_HPP

#include <annals.h>

#ifdef _MSVC_LANG
#define ANNALS_CPLUSPLUS _MSVC_LANG
#else
#define ANNALS_CPLUSPLUS __cplusplus
#endif
#if ANNALS_CPLUSPLUS < 201703L
#error "annals.hpp needs C++17"
#endif

#include <array>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <istream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif

// Files of one program may include this header in different ways. So that the linker does not take
// a function of one for that of another, each way has its own names.
#ifdef ANNALS_NO_EXCEPTIONS
#define ANNALS_WAY_ERRORS results
#else
#define ANNALS_WAY_ERRORS exceptions
#endif
#ifdef __cpp_lib_span
#define ANNALS_WAY_SPANS std_spans
#else
#define ANNALS_WAY_SPANS own_spans
#endif

namespace annals {
inline namespace ANNALS_WAY_ERRORS {
inline namespace ANNALS_WAY_SPANS {

#ifdef __cpp_lib_span
using std::span;
#else
/// The part of C++20's std::span that is needed here.
template <class T>
class span {
 public:
  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class Element, std::size_t count,
            class = std::enable_if_t<std::is_convertible_v<Element (*)[], T (*)[]>>>
  constexpr span(Element (&array)[count]) noexcept : data_(array), size_(count) {}
  template <class Container,
            class = decltype(static_cast<T *>(std::declval<Container &>().data()))>
  constexpr span(Container &container) noexcept
      : data_(container.data()), size_(container.size()) {}
  // Also for temporary objects, which last as long as the call that they are an argument of.
  template <class Container,
            class = decltype(static_cast<T *>(std::declval<const Container &>().data()))>
  constexpr span(const Container &container) noexcept
      : data_(container.data()), size_(container.size()) {}
  constexpr T *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T *begin() const noexcept { return data_; }
  constexpr T *end() const noexcept { return data_ + size_; }
  constexpr T &operator[](std::size_t index) const { return data_[index]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};
#endif

/// A read-only view of bytes.
using bytes = span<const std::uint8_t>;

/// A UUID.
using event_id = std::array<std::uint8_t, 16>;

/// A point in time, in microseconds.
using time_point = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// A violated condition of a batch.
struct condition {
  /// The index of the require_none call in the batch, from 0.
  std::size_t which = 0;
  /// The position of the first match after the condition's `after`.
  std::uint64_t position = 0;
};

/// A violated version check of an append.
struct conflict {
  /// The stream.
  std::string stream;
  /// The expected version, or a constant such as ANNALS_EXPECT_STREAM_EXISTS.
  std::uint64_t expected = 0;
  /// The actual version of the stream.
  std::uint64_t actual = 0;
  /// The index of the append or require call in the batch, or of the unit, from 0.
  std::size_t which = 0;
};

/// Where in an input an error is.
struct place {
  /// The line, counted from 1.
  std::uint64_t line = 0;
  /// The byte within the line, counted from 1; 0 if only the line is known.
  std::uint64_t column = 0;
};

/// Why a call failed.
class error : public std::runtime_error {
 public:
  /// Copies the contents of an error object. Without one, `about` says what the status is about.
  error(annals_status status, const annals_error *failure, const std::string &about = {})
      : std::runtime_error(words(status, failure, about)),
        status_(status),
        os_code_(annals_error_os_code(failure)),
        callback_code_(annals_error_callback_code(failure)) {
    place at;
    if (annals_error_line(failure, &at.line, &at.column)) place_ = at;
    const std::size_t count = annals_error_conflict_count(failure);
    for (std::size_t index = 0; index < count; ++index) {
      const char *stream = nullptr;
      std::size_t len = 0;
      conflict found;
      if (annals_error_conflict(failure, index, &stream, &len, &found.expected, &found.actual)) {
        found.stream.assign(stream, len);
        annals_error_conflict_which(failure, index, &found.which);
        conflicts_.push_back(std::move(found));
      }
    }
    const std::size_t conditions = annals_error_condition_count(failure);
    for (std::size_t index = 0; index < conditions; ++index) {
      condition found;
      if (annals_error_condition(failure, index, &found.which, &found.position)) {
        conditions_.push_back(found);
      }
    }
  }

  /// The status, such as ANNALS_E_VERSION_CONFLICT.
  annals_status status() const noexcept { return status_; }
  /// The error number of the operating system (errno); 0 if there is none.
  std::int32_t os_code() const noexcept { return os_code_; }
  /// The value that a failed callback returned; 0 if no callback failed.
  std::int32_t callback_code() const noexcept { return callback_code_; }
  /// Whether the stream was not at the expected version.
  bool is_conflict() const noexcept { return status_ == ANNALS_E_VERSION_CONFLICT; }
  /// Whether a condition of the batch did not hold.
  bool is_condition() const noexcept { return status_ == ANNALS_E_CONDITION; }
  /// Every violated condition of the batch, in order.
  const std::vector<condition> &conditions() const noexcept { return conditions_; }
  /// Every violated version check of the append, in the order of its units or calls.
  const std::vector<conflict> &conflicts() const noexcept { return conflicts_; }
  /// Where in its input an import failed.
  const std::optional<place> &where() const noexcept { return place_; }

 private:
  static std::string words(annals_status status, const annals_error *failure,
                           const std::string &about) {
    std::size_t len = 0;
    const char *message = annals_error_message(failure, &len);
    if (failure != nullptr) return std::string(message, len);
    return (about.empty() ? about : about + ": ") + annals_status_message(status);
  }

  annals_status status_;
  std::int32_t os_code_;
  std::int32_t callback_code_;
  std::optional<place> place_;
  std::vector<conflict> conflicts_;
  std::vector<condition> conditions_;
};

/// A value, or the error that prevented it.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : value_(std::move(value)) {}
  result(error failure) : error_(std::move(failure)) {}
  /// Whether there is a value.
  explicit operator bool() const noexcept { return value_.has_value(); }
  /// The value. There must be one. It is moved out of a temporary result, so that a loop over
  /// `*store.read_all()` keeps it.
  T &operator*() & noexcept { return *value_; }
  const T &operator*() const & noexcept { return *value_; }
  T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return *std::move(value_); }
  T *operator->() noexcept { return &*value_; }
  const T *operator->() const noexcept { return &*value_; }
  /// The error. There must be one.
  const error &failure() const & noexcept { return *error_; }
  error failure() && { return *std::move(error_); }

 private:
  std::optional<T> value_;
  std::optional<error> error_;
};

/// Success, or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(error failure) : error_(std::move(failure)) {}
  /// Whether the call succeeded.
  explicit operator bool() const noexcept { return !error_.has_value(); }
  /// The error. There must be one.
  const error &failure() const & noexcept { return *error_; }
  error failure() && { return *std::move(error_); }

 private:
  std::optional<error> error_;
};

#ifdef ANNALS_NO_EXCEPTIONS
/// The return type of a function that can fail: a result.
template <class T>
using returned = result<T>;
#else
/// The return type of a function that can fail: the value. An error is thrown.
template <class T>
using returned = T;
#endif

namespace detail {

struct freed {
  void operator()(annals_error *object) const noexcept { annals_error_free(object); }
  void operator()(annals_options *object) const noexcept { annals_options_free(object); }
  void operator()(annals_read_options *object) const noexcept { annals_read_options_free(object); }
  void operator()(annals_iter *object) const noexcept { annals_iter_free(object); }
  void operator()(annals_stream_iter *object) const noexcept { annals_stream_iter_free(object); }
  void operator()(annals_snapshot *object) const noexcept { annals_snapshot_free(object); }
  void operator()(annals_subscription *object) const noexcept { annals_subscription_free(object); }
  void operator()(annals_projection *object) const noexcept { annals_projection_free(object); }
  void operator()(annals_query *object) const noexcept { annals_query_free(object); }
  void operator()(annals_batch *object) const noexcept { annals_batch_free(object); }
  void operator()(annals_ticket *object) const noexcept { annals_ticket_free(object); }
  void operator()(annals_store *object) const noexcept {
    // To find out whether the last sync succeeded, call close().
    const annals_status closed = annals_close(object, nullptr);
    static_cast<void>(closed);
  }
};

template <class T>
using owned = std::unique_ptr<T, freed>;

/// Holds the error object of one call.
class failure {
 public:
  failure() = default;
  failure(const failure &) = delete;
  failure &operator=(const failure &) = delete;
  ~failure() { annals_error_free(object_); }
  annals_error **out() noexcept { return &object_; }

  /// Throws or returns the error of a failed status; otherwise returns the result of `make`.
  template <class T, class Make>
  returned<T> or_else(annals_status status, Make &&make) {
    if (status < 0) return fail<T>(status);
    return make();
  }

  returned<void> or_nothing(annals_status status) {
#ifdef ANNALS_NO_EXCEPTIONS
    if (status < 0) return error(status, object_);
    return {};
#else
    if (status < 0) throw error(status, object_);
#endif
  }

  template <class T>
  returned<T> fail(annals_status status, const std::string &about = {}) {
#ifdef ANNALS_NO_EXCEPTIONS
    return error(status, object_, about);
#else
    throw error(status, object_, about);
#endif
  }

 private:
  annals_error *object_ = nullptr;
};

/// Calls a callback and translates its result for C.
template <class Function, class... Arguments>
std::int32_t answer(Function &function, Arguments &&...arguments) {
  using answer_type = std::invoke_result_t<Function &, Arguments...>;
  if constexpr (std::is_void_v<answer_type>) {
    function(std::forward<Arguments>(arguments)...);
    return 0;
  } else if constexpr (std::is_same_v<answer_type, bool>) {
    return function(std::forward<Arguments>(arguments)...) ? 0 : 1;
  } else {
    static_assert(std::is_same_v<answer_type, std::int32_t>,
                  "a callback must return nothing, bool, or int32_t as in annals.h");
    return function(std::forward<Arguments>(arguments)...);
  }
}

/// A callback that is called through C. It keeps a thrown exception until the call has returned.
template <class Function>
class carried {
 public:
  explicit carried(Function &function) noexcept : function_(function) {}

  template <class... Arguments>
  std::int32_t operator()(Arguments &&...arguments) noexcept {
#ifdef ANNALS_NO_EXCEPTIONS
    return answer(function_, std::forward<Arguments>(arguments)...);
#else
    try {
      return answer(function_, std::forward<Arguments>(arguments)...);
    } catch (...) {
      thrown_ = std::current_exception();
      return -1;
    }
#endif
  }

  void rethrow() const {
#ifndef ANNALS_NO_EXCEPTIONS
    if (thrown_) std::rethrow_exception(thrown_);
#endif
  }

 private:
  Function &function_;
#ifndef ANNALS_NO_EXCEPTIONS
  std::exception_ptr thrown_;
#endif
};

inline std::string_view text(const std::uint8_t *data, std::size_t len) noexcept {
  return {reinterpret_cast<const char *>(data), len};
}

inline std::vector<annals_string> strings(const std::vector<std::string> &texts) {
  std::vector<annals_string> made;
  made.reserve(texts.size());
  for (const std::string &text : texts) made.push_back({text.data(), text.size()});
  return made;
}

inline bytes data(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

}  // namespace detail

/// The expected version of a stream: a version, or one of the constants below.
struct expected_version {
  /// Exactly this many events.
  constexpr expected_version(std::uint64_t version) noexcept : value(version) {}
  /// The value for annals_append.
  std::uint64_t value;
};

/// Any version.
inline constexpr expected_version any_version{ANNALS_EXPECT_ANY};
/// No events.
inline constexpr expected_version no_stream{ANNALS_EXPECT_NO_STREAM};
/// At least one event.
inline constexpr expected_version stream_exists{ANNALS_EXPECT_STREAM_EXISTS};

/// A recorded event: a view, valid until the next step of the object that it came from.
class event {
 public:
  /// A view of an event of the C functions.
  explicit event(const annals_event &raw) noexcept : raw_(&raw) {}
  /// The position in the whole store.
  std::uint64_t position() const noexcept { return raw_->position; }
  /// The version: its place in the stream.
  std::uint64_t version() const noexcept { return raw_->version; }
  /// The stream id. A NUL follows it.
  std::string_view stream() const noexcept { return {raw_->stream, raw_->stream_len}; }
  /// The event type. A NUL follows it.
  std::string_view type() const noexcept { return {raw_->type, raw_->type_len}; }
  /// The data as bytes.
  bytes data() const noexcept { return {raw_->data, raw_->data_len}; }
  /// The data as text: JSON, unless the event is binary.
  std::string_view text() const noexcept { return detail::text(raw_->data, raw_->data_len); }
  /// Whether the data is bytes rather than JSON.
  bool is_binary() const noexcept { return (raw_->flags & ANNALS_EVENT_BINARY) != 0; }
  /// The metadata: a JSON object; empty if there is none.
  std::string_view metadata() const noexcept {
    return detail::text(raw_->metadata, raw_->metadata_len);
  }
  /// When the event happened.
  time_point time() const noexcept {
    return time_point(std::chrono::microseconds(raw_->timestamp_us));
  }
  /// How far the time as written is ahead of UTC; empty if it was written without a zone.
  std::optional<std::chrono::minutes> utc_offset() const noexcept {
    if (raw_->utc_offset_minutes == ANNALS_OFFSET_NAIVE) return std::nullopt;
    return std::chrono::minutes(raw_->utc_offset_minutes);
  }
  /// The tags, sorted, without repeats.
  std::vector<std::string_view> tags() const {
    std::vector<std::string_view> found;
    found.reserve(raw_->tag_count);
    for (std::size_t index = 0; index < raw_->tag_count; ++index) {
      found.emplace_back(raw_->tags[index].ptr, raw_->tags[index].len);
    }
    return found;
  }
  /// The id that the writer gave it; empty if there is none.
  std::optional<event_id> id() const noexcept {
    if ((raw_->flags & ANNALS_EVENT_HAS_ID) == 0) return std::nullopt;
    event_id found{};
    for (std::size_t index = 0; index < found.size(); ++index) found[index] = raw_->id[index];
    return found;
  }
  /// The view of the C functions.
  const annals_event &raw() const noexcept { return *raw_; }

 private:
  const annals_event *raw_;
};

/// An event to append. It owns its contents.
class new_event {
 public:
  /// An event whose data is the text of a JSON value.
  new_event(std::string type, std::string json) : type_(std::move(type)), data_(std::move(json)) {}
  /// An event whose data is arbitrary bytes.
  static new_event binary(std::string type, bytes data) {
    new_event made(std::move(type), std::string(detail::text(data.data(), data.size())));
    made.flags_ |= ANNALS_EVENT_BINARY;
    return made;
  }
  /// Adds metadata, the text of a JSON object.
  new_event &metadata(std::string json) & {
    metadata_ = std::move(json);
    return *this;
  }
  new_event &&metadata(std::string json) && { return std::move(metadata(std::move(json))); }
  /// Sets an id, which makes a retry of the append safe.
  new_event &id(const event_id &id) & {
    id_ = id;
    return *this;
  }
  new_event &&id(const event_id &id) && { return std::move(this->id(id)); }
  /// Sets when the event happened. Without an offset, the time has no zone.
  new_event &time(time_point time,
                  std::optional<std::chrono::minutes> utc_offset = std::chrono::minutes(0)) & {
    flags_ |= ANNALS_EVENT_HAS_TIMESTAMP;
    timestamp_us_ = time.time_since_epoch().count();
    offset_ = utc_offset ? fitted(utc_offset->count()) : ANNALS_OFFSET_NAIVE;
    return *this;
  }
  new_event &&time(time_point time,
                   std::optional<std::chrono::minutes> utc_offset = std::chrono::minutes(0)) && {
    return std::move(this->time(time, utc_offset));
  }
  /// Adds a tag, by which queries can find the event.
  new_event &tag(std::string tag) & {
    tags_.push_back(std::move(tag));
    return *this;
  }
  new_event &&tag(std::string tag) && { return std::move(this->tag(std::move(tag))); }
  /// The struct for annals_append: a view of this event and of `tags`, which receives the tags. It
  /// is valid until either of them changes.
  annals_new_event raw(std::vector<annals_string> &tags) const {
    tags = detail::strings(tags_);
    annals_new_event raw = ANNALS_NEW_EVENT_INIT;
    raw.flags = flags_;
    raw.id = id_ ? id_->data() : nullptr;
    raw.type = type_.data();
    raw.type_len = type_.size();
    raw.data = reinterpret_cast<const std::uint8_t *>(data_.data());
    raw.data_len = data_.size();
    raw.metadata = reinterpret_cast<const std::uint8_t *>(metadata_.data());
    raw.metadata_len = metadata_.size();
    raw.timestamp_us = timestamp_us_;
    raw.utc_offset_minutes = offset_;
    raw.tags = tags.empty() ? nullptr : tags.data();
    raw.tag_count = tags.size();
    return raw;
  }

 private:
  /// An offset that does not fit becomes another one that no event can have.
  static constexpr std::int32_t fitted(std::int64_t minutes) noexcept {
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(minutes, -std::int64_t{INT32_MAX}, INT32_MAX));
  }

  std::string type_;
  std::string data_;
  std::string metadata_;
  std::optional<event_id> id_;
  std::uint32_t flags_ = 0;
  std::int64_t timestamp_us_ = 0;
  std::int32_t offset_ = 0;
  std::vector<std::string> tags_;
};

namespace detail {

/// Events for the C functions: views, valid as long as this object and the events.
class raw_events {
 public:
  explicit raw_events(span<const new_event> events) : tags_(events.size()) {
    events_.reserve(events.size());
    for (const new_event &event : events) events_.push_back(event.raw(tags_[events_.size()]));
  }
  const annals_new_event *data() const noexcept { return events_.data(); }
  std::size_t size() const noexcept { return events_.size(); }

 private:
  std::vector<std::vector<annals_string>> tags_;
  std::vector<annals_new_event> events_;
};

}  // namespace detail

/// The part of an append_multi that concerns one stream. Without events it only checks the stream.
struct unit {
  /// The stream id.
  std::string stream;
  /// The expected version of the stream.
  expected_version expected = any_version;
  /// The events to append.
  std::vector<new_event> events;
};

/// The result of an append.
struct appended {
  /// The position of the first event; the others follow it.
  std::uint64_t first_position = 0;
  /// The version of the first event in its stream; the others follow it.
  std::uint64_t first_version = 0;
  /// The status of annals_append: ANNALS_OK or ANNALS_ALREADY_STORED.
  annals_status status = ANNALS_OK;
  /// Whether it was an exact retry: the events were already stored, and nothing was written.
  bool replayed() const noexcept { return status == ANNALS_ALREADY_STORED; }
};

/// Selects events: an event matches the query if it matches any of its items.
class query {
 public:
  /// A query that matches every event. It accepts no items.
  static query all() {
    query made;
    made.all_ = true;
    return made;
  }
  /// Adds an item. An event matches the item if its type is one of the given types, it has all
  /// given tags, and it is in the given stream. What is empty matches any event.
  query &item(std::vector<std::string> types, std::vector<std::string> tags = {},
              std::string stream = {}) & {
    items_.push_back({std::move(types), std::move(tags), std::move(stream)});
    return *this;
  }
  query &&item(std::vector<std::string> types, std::vector<std::string> tags = {},
               std::string stream = {}) && {
    return std::move(item(std::move(types), std::move(tags), std::move(stream)));
  }
  /// Adds an item for events that have all given tags.
  query &tagged(std::vector<std::string> tags) & { return item({}, std::move(tags)); }
  query &&tagged(std::vector<std::string> tags) && {
    return std::move(tagged(std::move(tags)));
  }

  /// The query for the C functions, with a status. If the status is an error, do not use the query.
  std::pair<detail::owned<annals_query>, annals_status> raw(annals_error **err) const {
    detail::owned<annals_query> made(all_ ? annals_query_new_all() : annals_query_new());
    annals_status status = made ? ANNALS_OK : ANNALS_E_NO_MEMORY;
    for (const item_of &item : items_) {
      if (status < 0) break;
      const std::vector<annals_string> types = detail::strings(item.types);
      const std::vector<annals_string> tags = detail::strings(item.tags);
      const char *stream = item.stream.empty() ? nullptr : item.stream.data();
      status = annals_query_add_item(made.get(), types.data(), types.size(), tags.data(),
                                     tags.size(), stream, item.stream.size(), err);
    }
    return {std::move(made), status};
  }

 private:
  struct item_of {
    std::vector<std::string> types;
    std::vector<std::string> tags;
    std::string stream;
  };

  bool all_ = false;
  std::vector<item_of> items_;
};

/// One atomic unit for any number of streams, with conditions and checkpoints. It can be committed
/// again: after a conflict, or to settle an unknown outcome.
class batch {
 public:
  /// Appends events to a stream if it is at the expected version.
  batch &append(std::string stream, expected_version expected, std::vector<new_event> events) {
    parts_.push_back({kind::append, std::move(stream), expected.value, std::move(events), {}});
    return *this;
  }
  /// Requires that a stream is at the expected version, and writes nothing to it.
  batch &require(std::string stream, expected_version expected) {
    parts_.push_back({kind::require, std::move(stream), expected.value, {}, {}});
    return *this;
  }
  /// Requires that no event after a position matches a query.
  batch &require_none(query query, std::uint64_t after) {
    parts_.push_back({kind::require_none, {}, after, {}, std::move(query)});
    return *this;
  }
  /// Saves the checkpoint of a consumer in the same atomic unit.
  batch &checkpoint(std::string name, std::uint64_t position) {
    parts_.push_back({kind::checkpoint, std::move(name), position, {}, {}});
    return *this;
  }

  /// The batch for the C functions, with a status. If the status is an error, do not use the batch.
  std::pair<detail::owned<annals_batch>, annals_status> raw(annals_error **err) const {
    detail::owned<annals_batch> made(annals_batch_new());
    annals_status status = made ? ANNALS_OK : ANNALS_E_NO_MEMORY;
    for (const part &one : parts_) {
      if (status < 0) break;
      status = add(made.get(), one, err);
    }
    return {std::move(made), status};
  }

 private:
  enum class kind { append, require, require_none, checkpoint };

  struct part {
    kind what;
    std::string name;
    std::uint64_t number;
    std::vector<new_event> events;
    query condition;
  };

  static annals_status add(annals_batch *batch, const part &one, annals_error **err) {
    const char *name = one.name.data();
    switch (one.what) {
      case kind::append: {
        const detail::raw_events raw({one.events.data(), one.events.size()});
        return annals_batch_append(batch, name, one.name.size(), one.number, raw.data(),
                                   raw.size(), err);
      }
      case kind::require:
        return annals_batch_require(batch, name, one.name.size(), one.number, err);
      case kind::checkpoint:
        return annals_batch_checkpoint(batch, name, one.name.size(), one.number, err);
      case kind::require_none:
        break;
    }
    const auto [raw, status] = one.condition.raw(err);
    if (status < 0) return status;
    return annals_batch_require_none(batch, raw.get(), one.number, err);
  }

  std::vector<part> parts_;
};

/// The result of a commit.
struct committed {
  /// The position of the first event; 0 for a batch of checkpoints only.
  std::uint64_t first_position = 0;
  /// ANNALS_OK or ANNALS_ALREADY_STORED.
  annals_status status = ANNALS_OK;
  /// Whether it was an exact retry: the events were already stored, and no event was written.
  bool replayed() const noexcept { return status == ANNALS_ALREADY_STORED; }
};

/// The outcome of a submitted batch. A ticket may outlive its store.
class ticket {
 public:
  /// Takes ownership of a ticket of the C functions.
  explicit ticket(annals_ticket *raw) noexcept : raw_(raw) {}
  /// Waits for the outcome. A repeated call returns the same again.
  returned<committed> wait() const {
    detail::failure failure;
    committed found;
    found.status = annals_ticket_wait(raw_.get(), -1, &found.first_position, failure.out());
    return failure.or_else<committed>(found.status, [&] { return found; });
  }
  /// Waits for the outcome, at most for `timeout`; empty if it is not known by then.
  returned<std::optional<committed>> wait_for(std::chrono::milliseconds timeout) const {
    detail::failure failure;
    committed found;
    const std::int64_t limit = std::max<std::int64_t>(timeout.count(), 0);
    found.status = annals_ticket_wait(raw_.get(), limit, &found.first_position, failure.out());
    return failure.or_else<std::optional<committed>>(found.status, [&] {
      return found.status == ANNALS_TIMEOUT ? std::optional<committed>() : found;
    });
  }

 private:
  detail::owned<annals_ticket> raw_;
};

/// A step that converts events of a type from one schema version to the next as they are read.
struct upcaster {
  /// The event type.
  std::string type;
  /// The schema version that the step converts. The steps of a type must have no gaps.
  std::uint32_t from_version = 1;
  /// Returns the new data as JSON text. It runs on any thread that reads, and on several at once.
  /// It must not use the store. An exception makes the read fail with ANNALS_E_CALLBACK.
  std::function<std::string(const annals::event &)> step;
};

namespace detail {

/// The function through which C calls an upcaster.
inline std::int32_t upcast(void *self, const annals_event *raw, annals_write_fn write,
                           void *writer) noexcept {
  const auto &step = *static_cast<const upcaster *>(self);
  const auto run = [&] {
    const std::string made = step.step(event(*raw));
    return write(writer, detail::data(made).data(), made.size());
  };
#ifdef ANNALS_NO_EXCEPTIONS
  return run();
#else
  try {
    return run();
  } catch (...) {
    return -1;
  }
#endif
}

inline void drop_upcaster(void *self) noexcept { delete static_cast<upcaster *>(self); }

}  // namespace detail

/// Options for opening a store.
struct options {
  /// Zero: an append returns once it is durable. Above zero: it returns earlier, and a crash of the
  /// operating system may lose the appends of the last `buffered`.
  std::chrono::milliseconds buffered{0};
  /// The approximate memory use of the page cache, in bytes.
  std::uint64_t cache_bytes = std::uint64_t{64} << 20;
  /// Whether to create the store if there is none.
  bool create = true;
  /// Whether to rebuild unusable trees from the journal.
  bool rebuild = true;
  /// How long to wait if the store is already open.
  std::chrono::milliseconds wait{0};
  /// The upcasters, which convert events with old shapes as they are read.
  std::vector<upcaster> upcasters{};
};

/// What to read: everything, forwards, unless set otherwise.
class read_options {
 public:
  /// Reads from the last event to the first.
  read_options &backward(bool backward = true) noexcept { return set(backward_, backward); }
  /// Reads at most this many events.
  read_options &limit(std::uint64_t limit) noexcept { return set(limit_, limit); }
  /// Starts at this version of the stream, inclusive; only for read_stream.
  read_options &from_version(std::uint64_t from) noexcept { return set(from_version_, from); }
  /// Starts at this position in the store, inclusive; not for subscribe.
  read_options &from_position(std::uint64_t from) noexcept { return set(from_position_, from); }
  /// Ends at this position, inclusive, in the direction of reading; only for read_all and
  /// read_stream.
  read_options &until_position(std::uint64_t until) noexcept { return set(until_position_, until); }
  /// Skips events with an earlier timestamp; only for read_all and read_stream.
  read_options &since(time_point time) noexcept { return set(since_, time); }
  /// Skips events with a later timestamp; only for read_all and read_stream.
  read_options &until(time_point time) noexcept { return set(until_, time); }
  /// Reads only events of this type, or of other types that are added.
  read_options &type(std::string type) {
    types_.push_back(std::move(type));
    return *this;
  }
  /// Reads only streams whose ids start with this; only for read_all and subscribe.
  read_options &stream_prefix(std::string prefix) { return set(prefix_, std::move(prefix)); }

  /// Reads only events that match a query; only for read_all and subscribe, and not together with
  /// types or a prefix.
  read_options &matching(query query) {
    query_ = std::move(query);
    return *this;
  }

  /// The options for the C functions, with a status. If it is an error, do not use the options;
  /// if the query caused it, `err` says why.
  std::pair<detail::owned<annals_read_options>, annals_status> raw(
      annals_error **err = nullptr) const {
    detail::owned<annals_read_options> made(annals_read_options_new());
    annals_status status = made ? ANNALS_OK : ANNALS_E_NO_MEMORY;
    const auto then = [&status](auto &&step) {
      if (status >= 0) status = step();
    };
    annals_read_options *raw = made.get();
    then([&] { return annals_read_options_set_backward(raw, backward_); });
    if (limit_) then([&] { return annals_read_options_set_limit(raw, *limit_); });
    if (from_version_) {
      then([&] { return annals_read_options_set_from_version(raw, *from_version_); });
    }
    if (from_position_) {
      then([&] { return annals_read_options_set_from_position(raw, *from_position_); });
    }
    if (until_position_) {
      then([&] { return annals_read_options_set_until_position(raw, *until_position_); });
    }
    const auto micros = [](time_point time) { return time.time_since_epoch().count(); };
    if (since_) then([&] { return annals_read_options_set_since(raw, micros(*since_)); });
    if (until_) then([&] { return annals_read_options_set_until(raw, micros(*until_)); });
    for (const std::string &type : types_) {
      then([&] { return annals_read_options_add_type(raw, type.data(), type.size()); });
    }
    if (query_) {
      const auto [query, made_query] = query_->raw(err);
      then([&, status_of = made_query] { return status_of; });
      then([&, raw_query = query.get()] { return annals_read_options_set_query(raw, raw_query); });
    }
    const std::string &prefix = prefix_;
    then([&] { return annals_read_options_set_stream_prefix(raw, prefix.data(), prefix.size()); });
    return {std::move(made), status};
  }

 private:
  template <class Field, class Value>
  read_options &set(Field &field, Value &&value) {
    field = std::forward<Value>(value);
    return *this;
  }

  bool backward_ = false;
  std::optional<std::uint64_t> limit_;
  std::optional<std::uint64_t> from_version_;
  std::optional<std::uint64_t> from_position_;
  std::optional<std::uint64_t> until_position_;
  std::optional<time_point> since_;
  std::optional<time_point> until_;
  std::vector<std::string> types_;
  std::string prefix_;
  std::optional<query> query_;
};

namespace detail {

/// Makes a range of any class with `std::optional<Item> step()`.
template <class Reader, class Item>
class cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Item;
  using difference_type = std::ptrdiff_t;
  using pointer = const Item *;
  using reference = const Item &;

  cursor() noexcept = default;
  explicit cursor(Reader *reader) : reader_(reader), item_(reader->step()) {}
  reference operator*() const noexcept { return *item_; }
  pointer operator->() const noexcept { return &*item_; }
  cursor &operator++() {
    item_ = reader_->step();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const cursor &one, const cursor &other) noexcept {
    return one.item_.has_value() == other.item_.has_value();
  }
  friend bool operator!=(const cursor &one, const cursor &other) noexcept {
    return !(one == other);
  }

 private:
  Reader *reader_ = nullptr;
  std::optional<Item> item_;
};

/// The common part of the readers of events and streams: steps, and how they end.
class ending {
 public:
  /// The error of the last step, if it failed. Without exceptions, check it after each loop.
  const std::optional<error> &failure() const noexcept { return failure_; }

 protected:
  /// Whether a step returned an item.
  bool has_come(annals_status status, annals_error *failure) {
    const owned<annals_error> freed(failure);
    failure_.reset();
    if (status >= 0) return status == ANNALS_OK;
    failure_.emplace(status, failure);
#ifndef ANNALS_NO_EXCEPTIONS
    throw *failure_;
#else
    return false;
#endif
  }

 private:
  std::optional<error> failure_;
};

}  // namespace detail

/// An iterator over events: a range that can be read once.
class events : public detail::ending {
 public:
  explicit events(detail::owned<annals_iter> iter) noexcept : iter_(std::move(iter)) {}
  /// Starts reading, or continues where an earlier loop ended.
  detail::cursor<events, event> begin() { return detail::cursor<events, event>(this); }
  /// The end of the range.
  detail::cursor<events, event> end() noexcept { return {}; }
  /// The next event; empty at the end.
  std::optional<event> step() {
    // A moved-from object has no iterator, and its batch is no longer its own.
    if (!iter_ || next_ == batch_.size()) {
      const annals_event *batch = nullptr;
      std::size_t count = 0;
      annals_error *failure = nullptr;
      batch_ = {};
      next_ = 0;
      const annals_status status =
          annals_iter_next_batch(iter_.get(), batch_max, &batch, &count, &failure);
      if (!has_come(status, failure)) return std::nullopt;
      batch_ = {batch, count};
    }
    return event(batch_[next_++]);
  }

 private:
  static constexpr std::size_t batch_max = 256;
  detail::owned<annals_iter> iter_;
  span<const annals_event> batch_;
  std::size_t next_ = 0;
};

/// An event found by its id. It owns the memory of the event.
class found_event {
 public:
  found_event(detail::owned<annals_iter> iter, const annals_event &raw) noexcept
      : iter_(std::move(iter)), event_(raw) {}
  /// The event, valid as long as this object.
  const event &operator*() const noexcept { return event_; }
  /// The event, valid as long as this object.
  const event *operator->() const noexcept { return &event_; }

 private:
  detail::owned<annals_iter> iter_;
  event event_;
};

/// A stream and its version.
struct stream_info {
  /// The stream id, valid until the next step.
  std::string_view id;
  /// The version: the number of its events.
  std::uint64_t version = 0;
};

/// An iterator over the streams of a store, in byte order of their ids: a range that can be read
/// once.
class streams : public detail::ending {
 public:
  explicit streams(detail::owned<annals_stream_iter> iter) noexcept : iter_(std::move(iter)) {}
  /// Starts reading, or continues where an earlier loop ended.
  detail::cursor<streams, stream_info> begin() {
    return detail::cursor<streams, stream_info>(this);
  }
  /// The end of the range.
  detail::cursor<streams, stream_info> end() noexcept { return {}; }
  /// The next stream; empty at the end.
  std::optional<stream_info> step() {
    const char *name = nullptr;
    std::size_t len = 0;
    stream_info found;
    annals_error *failure = nullptr;
    const annals_status status =
        annals_stream_iter_next(iter_.get(), &name, &len, &found.version, &failure);
    if (!has_come(status, failure)) return std::nullopt;
    found.id = {name, len};
    return found;
  }

 private:
  detail::owned<annals_stream_iter> iter_;
};

/// A subscription: it delivers stored events and then new ones as they are appended, without gaps
/// or repeats.
///
/// A loop over a subscription waits for new events. It ends when the subscription is cancelled or
/// reaches its limit. If the store is closed, even during the wait, it fails with ANNALS_E_CLOSED.
///
/// @code{.cpp}
/// annals::subscription subscription = store.subscribe(store.checkpoint("mailer") + 1);
/// for (const annals::event &event : subscription) {
///   send(event);
///   store.save_checkpoint("mailer", event.position());
/// }
/// @endcode
///
/// One thread at a time may read from it. Any thread may call cancel() meanwhile, as long as the
/// object is neither moved nor destroyed.
class subscription : public detail::ending {
 public:
  explicit subscription(detail::owned<annals_subscription> raw) noexcept : raw_(std::move(raw)) {}
  /// Waits for the first event, or continues where an earlier loop ended.
  detail::cursor<subscription, event> begin() {
    return detail::cursor<subscription, event>(this);
  }
  /// The end of the range.
  detail::cursor<subscription, event> end() noexcept { return {}; }
  /// Waits for the next event; empty if the subscription has ended.
  std::optional<event> next() { return take(-1); }
  /// Waits for the next event, at most for `timeout`; empty if none has come by then, or if the
  /// subscription has ended. Zero does not wait.
  std::optional<event> next(std::chrono::milliseconds timeout) {
    const std::int64_t count = timeout.count();
    return take(count > 0 ? count : 0);
  }
  /// Same as next(): the name that all ranges use.
  std::optional<event> step() { return next(); }
  /// Whether the subscription was cancelled or has reached its limit.
  bool has_ended() const noexcept { return has_ended_; }
  /// Ends the subscription, from any thread: it delivers no more events, and a waiting next()
  /// returns.
  void cancel() const noexcept { annals_subscription_cancel(raw_.get()); }

 private:
  std::optional<event> take(std::int64_t timeout_ms) {
    const annals_event *found = nullptr;
    annals_error *failure = nullptr;
    const annals_status status =
        annals_subscription_next(raw_.get(), timeout_ms, &found, &failure);
    has_ended_ = status == ANNALS_DONE;
    if (!has_come(status, failure)) return std::nullopt;
    return event(*found);
  }

  detail::owned<annals_subscription> raw_;
  bool has_ended_ = false;
};

/// A loaded snapshot: bytes, and the position of the last event that they include. It may outlive
/// the store, and it is thread-safe.
class snapshot {
 public:
  explicit snapshot(detail::owned<annals_snapshot> raw) noexcept : raw_(std::move(raw)) {}
  /// The position of the last event that the snapshot includes.
  std::uint64_t position() const noexcept { return annals_snapshot_position(raw_.get()); }
  /// The bytes, valid as long as the snapshot.
  bytes data() const noexcept {
    std::size_t len = 0;
    const std::uint8_t *data = annals_snapshot_data(raw_.get(), &len);
    return {data, len};
  }
  /// The bytes as text, valid as long as the snapshot.
  std::string_view text() const noexcept { return detail::text(data().data(), data().size()); }

 private:
  detail::owned<annals_snapshot> raw_;
};

/// The state of a stream, with the version and position that it belongs to.
template <class State>
struct loaded {
  /// The state after `apply` has received the events.
  State state;
  /// The version of the last event; 0 if there is none. An append that depends on the state expects
  /// this version.
  std::uint64_t version = 0;
  /// The position of the last event; 0 if there is none. Save a snapshot of the state for this
  /// position.
  std::uint64_t position = 0;
};

/// The point up to which store::load and store::reconstruct read.
class up_to {
 public:
  /// Up to the last event.
  static constexpr up_to now() noexcept { return {ANNALS_UP_TO_NOW, 0}; }
  /// Up to a version of the stream, inclusive.
  static constexpr up_to version(std::uint64_t version) noexcept {
    return {ANNALS_UP_TO_VERSION, version};
  }
  /// Up to a position in the store, inclusive.
  static constexpr up_to position(std::uint64_t position) noexcept {
    return {ANNALS_UP_TO_POSITION, position};
  }
  /// All events with this timestamp or an earlier one, wherever they are in the stream.
  static constexpr up_to time(time_point time) noexcept {
    return {ANNALS_UP_TO_TIMESTAMP, static_cast<std::uint64_t>(time.time_since_epoch().count())};
  }
  /// The `up_to_kind` for annals_reconstruct_state.
  constexpr std::uint32_t kind() const noexcept { return kind_; }
  /// The `up_to` for annals_reconstruct_state.
  constexpr std::uint64_t value() const noexcept { return value_; }

 private:
  constexpr up_to(std::uint32_t kind, std::uint64_t value) noexcept : kind_(kind), value_(value) {}

  std::uint32_t kind_;
  std::uint64_t value_;
};

namespace detail {

/// Keeps the exception of a handler until it is asked for. The handler may have run inside an
/// append, which does not fail because of it.
class kept {
 public:
#ifndef ANNALS_NO_EXCEPTIONS
  void keep(std::exception_ptr thrown) {
    const std::lock_guard<std::mutex> lock(mutex_);
    thrown_ = std::move(thrown);
  }

  void rethrow() const {
    if (const std::exception_ptr thrown = get()) std::rethrow_exception(thrown);
  }

  /// Makes a call that may run handlers, and rethrows what one of them has thrown. A handler may
  /// destroy the projection meanwhile, so the pointer is copied.
  template <class Call>
  static annals_status during(const std::shared_ptr<kept> owner, Call &&call) {
    if (!owner) return call();
    // What stopped the projection before is not what stops it now.
    const std::exception_ptr earlier = owner->get();
    owner->keep(nullptr);
    const annals_status status = call();
    if (status == ANNALS_E_CALLBACK) {
      owner->rethrow();
    } else if (status < 0 && earlier) {
      // The call was refused: the projection is still stopped.
      owner->keep(earlier);
    }
    return status;
  }

 private:
  std::exception_ptr get() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return thrown_;
  }

  mutable std::mutex mutex_;
  std::exception_ptr thrown_;
#else
  void rethrow() const noexcept {}

  template <class Call>
  static annals_status during(const std::shared_ptr<kept> &, Call &&call) {
    return call();
  }
#endif
};

/// A handler of a projection, in the form in which C keeps it.
template <class Function>
class handler {
 public:
  template <class Given>
  handler(Given &&function, std::shared_ptr<kept> kept)
      : function_(std::forward<Given>(function)), kept_(std::move(kept)) {}

  static std::int32_t call(void *self, const annals_event *raw) noexcept {
    return static_cast<handler *>(self)->take(event(*raw));
  }

  static void destroy(void *self) noexcept { delete static_cast<handler *>(self); }

 private:
  std::int32_t take(const event &taken) {
#ifdef ANNALS_NO_EXCEPTIONS
    return answer(function_, taken);
#else
    try {
      const std::int32_t code = answer(function_, taken);
      // A failure without an exception must not be mistaken for an earlier exception.
      if (code < 0) kept_->keep(nullptr);
      return code;
    } catch (...) {
      kept_->keep(std::current_exception());
      return -1;
    }
#endif
  }

  Function function_;
  std::shared_ptr<kept> kept_;
};

}  // namespace detail

class store;

/// Handlers that receive the events of their types in the order of positions, and the position of
/// the last event. The state that the handlers derive belongs to the caller.
///
/// @code{.cpp}
/// long balance = 0;
/// annals::projection projection(store, "balance");
/// projection.when("Deposited", [&](const annals::event &event) {
///   balance += std::stol(std::string(event.text()));
/// });
/// projection.catch_up();
/// @endcode
///
/// At first the projection advances only in catch_up(). After live() it follows every append: when
/// an append returns, the projection is up to date. Its handlers then run on the threads that
/// append, and for submitted batches on a thread of the store, one handler at a time. If other
/// threads read the state, protect it with a lock that the handlers take, too.
///
/// **A handler that fails**, by an exception or a negative value, stops the projection at that
/// event. It must leave the state as it was before the event. catch_up() and live() rethrow the
/// exception. An append does not, because the append has succeeded: the exception is kept, and
/// check() throws it, on any thread. catch_up() tries the event again.
///
/// **Threads**: one at a time; but position(), has_stopped(), failure() and check() are
/// thread-safe. The destructor waits for a handler that an append runs on another thread. When it
/// returns, no handler is running, and all of them are destroyed. Objects to which handlers refer
/// must outlive the projection. A handler may itself destroy the projection: then it is the last
/// one to run.
class projection {
 public:
#ifndef ANNALS_NO_EXCEPTIONS
  /// Creates a projection at position 0. The name is the one under which its snapshots are stored.
  projection(const store &store, std::string_view name);
#endif
  explicit projection(detail::owned<annals_projection> raw)
      : kept_(std::make_shared<detail::kept>()), raw_(std::move(raw)) {}

  /// Registers `handle(const annals::event &)` for an event type. It replaces an earlier handler
  /// for that type. The projection must not be live. It takes ownership of the handler, which may
  /// be move-only.
  template <class Handle>
  returned<void> when(std::string_view type, Handle &&handle) {
    using handler = detail::handler<std::decay_t<Handle>>;
    detail::failure failure;
    // The call takes ownership of the handler, even if it fails.
    auto *owned = new handler(std::forward<Handle>(handle), kept_);
    return failure.or_nothing(annals_projection_when(raw_.get(), type.data(), type.size(),
                                                     handler::call, owned, handler::destroy,
                                                     failure.out()));
  }

  /// Sets the version; the default is 0. Raise it when handlers change the meaning of the state:
  /// snapshots of other versions are ignored.
  returned<void> version(std::uint32_t version) {
    detail::failure failure;
    return failure.or_nothing(annals_projection_set_version(raw_.get(), version, failure.out()));
  }

  /// Passes all events up to the current head to the handlers, or resumes where the projection
  /// stopped. Returns by how many events the projection advanced.
  returned<std::uint64_t> catch_up() {
    detail::failure failure;
    std::uint64_t processed = 0;
    const annals_status status = detail::kept::during(kept_, [&] {
      return annals_projection_catch_up(raw_.get(), &processed, failure.out());
    });
    return failure.or_else<std::uint64_t>(status, [&] { return processed; });
  }

  /// Catches up, and from then on follows every append, unless a handler stops the projection
  /// first. A projection that is already live and has stopped resumes where it stopped. A
  /// projection of a reader cannot be live: this fails with ANNALS_E_READ_ONLY.
  returned<void> live() {
    detail::failure failure;
    return failure.or_nothing(detail::kept::during(
        kept_, [&] { return annals_projection_live(raw_.get(), failure.out()); }));
  }

  /// Resumes a live projection after the event at which a handler failed: the handler does not
  /// receive that event again. If no handler failed, nothing is skipped.
  returned<void> resume_after() {
    detail::failure failure;
    return failure.or_nothing(detail::kept::during(
        kept_, [&] { return annals_projection_resume_after(raw_.get(), failure.out()); }));
  }

  /// The position of the last event that was applied or skipped.
  std::uint64_t position() const noexcept { return annals_projection_position(raw_.get()); }

  /// Whether a handler stopped the projection, or anything failed.
  bool has_stopped() const noexcept {
    return annals_projection_state(raw_.get(), nullptr) != ANNALS_OK;
  }

  /// The error that stopped the projection; empty if there was none. For an exception of a handler
  /// the status is ANNALS_E_CALLBACK.
  std::optional<error> failure() const {
    annals_error *failure = nullptr;
    const annals_status status = annals_projection_state(raw_.get(), &failure);
    const detail::owned<annals_error> freed(failure);
    if (status >= 0) return std::nullopt;
    return error(status, failure);
  }

  /// Throws the error that stopped the projection, if there was one: the exception of the handler
  /// itself, or an annals::error.
  returned<void> check() const {
    detail::failure failure;
    const annals_status status = annals_projection_state(raw_.get(), failure.out());
    if (status == ANNALS_E_CALLBACK) kept_->rethrow();
    return failure.or_nothing(status);
  }

  /// Saves the state together with the position, as durably as an append. If the projection is
  /// live, call this only while no other thread appends.
  returned<void> save_snapshot(bytes state) {
    detail::failure failure;
    return failure.or_nothing(annals_projection_save_snapshot(raw_.get(), state.data(),
                                                              state.size(), failure.out()));
  }

  /// Saves the state, as text, together with the position.
  returned<void> save_snapshot(std::string_view state) {
    return save_snapshot(detail::data(state));
  }

  /// Passes the newest usable snapshot of this name and version to `restore(std::uint64_t position,
  /// annals::bytes state)`, and continues from that position. The projection must not be live.
  /// Returns false if there is no usable snapshot, or if `restore` returns `false` to ignore it.
  template <class Restore>
  returned<bool> load_snapshot(Restore &&restore) {
    using carried = detail::carried<std::remove_reference_t<Restore>>;
    detail::failure failure;
    carried call(restore);
    const auto thunk = [](void *data, std::uint64_t position, const std::uint8_t *state,
                          std::size_t len) noexcept {
      return (*static_cast<carried *>(data))(position, bytes(state, len));
    };
    const annals_status status =
        annals_projection_load_snapshot(raw_.get(), thunk, &call, failure.out());
    call.rethrow();
    return failure.or_else<bool>(status, [&] { return status == ANNALS_OK; });
  }

  /// Moves the projection back to position 0; it must not be live. The caller resets its own state;
  /// snapshots stay.
  returned<void> reset() {
    detail::failure failure;
    return failure.or_nothing(annals_projection_reset(raw_.get(), failure.out()));
  }

 private:
  std::shared_ptr<detail::kept> kept_;
  detail::owned<annals_projection> raw_;
};

/// How an import uses the event_id of each line: see annals.h.
enum class import_mode : std::uint32_t {
  /// Every event keeps its position.
  faithful = ANNALS_IMPORT_FAITHFUL,
  /// Events get new positions.
  append = ANNALS_IMPORT_APPEND,
  /// Events that are already stored are compared and skipped.
  resume = ANNALS_IMPORT_RESUME,
};

/// The result of a verification.
struct verification {
  /// The number of intact events.
  std::uint64_t events = 0;
  /// What is wrong; empty if the store is intact.
  std::vector<error> findings;
};

/// What an open had to repair.
struct recovery {
  /// The number of events from which the trees were rebuilt.
  std::uint64_t rebuilt_events = 0;
  /// How long that took.
  std::chrono::microseconds duration{0};
};

namespace detail {

/// Calls `start` with a callback that collects the findings, and returns them.
template <class Start>
returned<std::vector<error>> findings_of(Start &&start) {
  failure failed;
  std::vector<error> findings;
  const auto keep = [&findings](const annals_error *finding) {
    findings.emplace_back(annals_error_status(finding), finding);
  };
  using carried = detail::carried<const decltype(keep)>;
  carried call(keep);
  const auto thunk = [](void *data, const annals_error *finding) noexcept {
    return (*static_cast<carried *>(data))(finding);
  };
  const annals_status status = start(thunk, static_cast<void *>(&call), failed.out());
  call.rethrow();
  return failed.or_else<std::vector<error>>(status, [&] { return std::move(findings); });
}

}  // namespace detail

/// Repairs a store that is not open; with flags 0 it only reports how. Returns the steps, and what
/// cannot be repaired.
inline returned<std::vector<error>> repair(std::string_view path, std::uint32_t flags = 0) {
  return detail::findings_of([&](annals_finding_fn find, void *data, annals_error **err) {
    return annals_repair(path.data(), path.size(), flags, find, data, err);
  });
}

/// Rewrites a store that is not open: smaller, and with the events of each stream close together.
/// Returns its path.
inline returned<std::string> compact(std::string_view path) {
  detail::failure failure;
  const annals_status status = annals_compact(path.data(), path.size(), failure.out());
  return failure.or_else<std::string>(status, [&] { return std::string(path); });
}

/// Passes every event of a store that can be read to `write(std::string_view)` as NDJSON, even if
/// the store cannot be opened. Returns how many complete lines `write` has taken. Unless `missing`
/// is null, each range of positions that is lost is added to it.
template <class Write, class = std::enable_if_t<std::is_invocable_v<Write &, std::string_view>>>
returned<std::uint64_t> salvage(std::string_view path, Write &&write,
                                std::vector<error> *missing = nullptr) {
  const auto keep = [missing](const annals_error *lost) {
    if (missing != nullptr) missing->emplace_back(annals_error_status(lost), lost);
  };
  using writing = detail::carried<std::remove_reference_t<Write>>;
  using keeping = detail::carried<const decltype(keep)>;
  struct calls {
    writing write;
    keeping keep;
  };
  detail::failure failure;
  calls both{writing(write), keeping(keep)};
  std::uint64_t events = 0;
  const auto take = [](void *data, const std::uint8_t *piece, std::size_t len) noexcept {
    return static_cast<calls *>(data)->write(detail::text(piece, len));
  };
  const auto note = [](void *data, const annals_error *lost) noexcept {
    return static_cast<calls *>(data)->keep(lost);
  };
  const annals_status status =
      annals_salvage(path.data(), path.size(), take, note, &both, &events, failure.out());
  both.write.rethrow();
  both.keep.rethrow();
  return failure.or_else<std::uint64_t>(status, [&] { return events; });
}

/// An open event store. It is thread-safe.
///
/// Do not destroy it in a callback of its own: there the store cannot be closed, and the destructor
/// leaves it open until the process ends.
class store {
 public:
#ifndef ANNALS_NO_EXCEPTIONS
  /// Opens the store in a directory; if there is no store, creates it.
  explicit store(std::string_view path, const options &with = {}) : store(open(path, with)) {}
#endif
  /// Takes ownership of a store of the C functions.
  explicit store(annals_store *raw) noexcept : raw_(raw) {}

  /// Opens the store in a directory; if there is no store, creates it.
  static returned<store> open(std::string_view path, const options &with = {}) {
    return open_by(annals_open, path, with);
  }

  /// Opens a store read-only, even while another program writes it. Functions that write fail with
  /// ANNALS_E_READ_ONLY. Of the options only the upcasters are used.
  static returned<store> open_reader(std::string_view path, const options &with = {}) {
    return open_by(annals_reader_open_with_options, path, with);
  }

  /// Opens a store in memory, without files.
  static returned<store> in_memory() {
    detail::failure failure;
    annals_store *raw = nullptr;
    const annals_status status = annals_open_in_memory(&raw, failure.out());
    return failure.or_else<store>(status, [&] { return store(raw); });
  }

  /// Closes the store and reports whether the last sync succeeded. The destructor closes it, too,
  /// but reports nothing. Afterwards this object is empty, like one that was moved from, unless the
  /// error was ANNALS_E_BUSY.
  returned<void> close() {
    detail::failure failure;
    annals_store *raw = raw_.release();
    const annals_status status = annals_close(raw, failure.out());
    // Only in this case is the store still open.
    if (status == ANNALS_E_BUSY) raw_.reset(raw);
    return failure.or_nothing(status);
  }

  /// Makes every event appended so far durable: it survives a power cut.
  returned<void> flush() const {
    detail::failure failure;
    return failure.or_nothing(annals_flush(raw_.get(), failure.out()));
  }

  /// The position of the last event; 0 if there is none.
  returned<std::uint64_t> head() const {
    detail::failure failure;
    std::uint64_t position = 0;
    const annals_status status = annals_head(raw_.get(), &position, failure.out());
    return failure.or_else<std::uint64_t>(status, [&] { return position; });
  }

  /// The version of a stream: the number of its events; 0 if there is no such stream.
  returned<std::uint64_t> stream_version(std::string_view stream) const {
    detail::failure failure;
    std::uint64_t version = 0;
    const annals_status status = annals_stream_version(raw_.get(), stream.data(), stream.size(),
                                                       &version, failure.out());
    return failure.or_else<std::uint64_t>(status, [&] { return version; });
  }

  /// Appends events to a stream, all or none, if it is at the expected version.
  returned<appended> append(std::string_view stream, expected_version expected,
                            span<const new_event> events) const {
    detail::failure failure;
    appended landed;
    const detail::raw_events raw(events);
    landed.status =
        annals_append(raw_.get(), stream.data(), stream.size(), expected.value, raw.data(),
                      raw.size(), &landed.first_position, &landed.first_version, failure.out());
    return failure.or_else<appended>(landed.status, [&] { return landed; });
  }

  /// Appends events to a stream, all or none, if it is at the expected version.
  returned<appended> append(std::string_view stream, expected_version expected,
                            std::initializer_list<new_event> events) const {
    return append(stream, expected, span<const new_event>(events.begin(), events.size()));
  }

  /// Appends one event to a stream if it is at the expected version.
  returned<appended> append(std::string_view stream, expected_version expected,
                            const new_event &event) const {
    return append(stream, expected, span<const new_event>(&event, 1));
  }

  /// Appends to several streams as one atomic unit. Returns the position of the first event. Unless
  /// `replayed` is null, sets it to whether this was an exact retry.
  returned<std::uint64_t> append_multi(span<const unit> units, bool *replayed = nullptr) const {
    detail::failure failure;
    std::uint64_t position = 0;
    std::vector<detail::raw_events> events;
    std::vector<annals_unit> raw;
    events.reserve(units.size());
    raw.reserve(units.size());
    for (const unit &unit : units) {
      events.emplace_back(span<const new_event>(unit.events.data(), unit.events.size()));
      annals_unit made = ANNALS_UNIT_INIT;
      made.stream = unit.stream.data();
      made.stream_len = unit.stream.size();
      made.expected_version = unit.expected.value;
      made.events = events.back().data();
      made.event_count = events.back().size();
      raw.push_back(made);
    }
    const annals_status status =
        annals_append_multi(raw_.get(), raw.data(), raw.size(), &position, failure.out());
    if (replayed != nullptr) *replayed = status == ANNALS_ALREADY_STORED;
    return failure.or_else<std::uint64_t>(status, [&] { return position; });
  }

  /// Appends to several streams as one atomic unit. Returns the position of the first event. Unless
  /// `replayed` is null, sets it to whether this was an exact retry.
  returned<std::uint64_t> append_multi(std::initializer_list<unit> units,
                                       bool *replayed = nullptr) const {
    return append_multi(span<const unit>(units.begin(), units.size()), replayed);
  }

  /// Writes a batch as one atomic unit.
  returned<committed> commit(const batch &batch) const {
    detail::failure failure;
    committed found;
    const auto [raw, made] = batch.raw(failure.out());
    if (made < 0) return failure.fail<committed>(made);
    found.status =
        annals_batch_commit(raw.get(), raw_.get(), &found.first_position, failure.out());
    return failure.or_else<committed>(found.status, [&] { return found; });
  }

  /// Queues a batch to be written. The ticket reports the outcome.
  returned<ticket> submit(const batch &batch) const {
    detail::failure failure;
    annals_ticket *queued = nullptr;
    const auto [raw, made] = batch.raw(failure.out());
    if (made < 0) return failure.fail<ticket>(made);
    const annals_status status =
        annals_batch_submit(raw.get(), raw_.get(), &queued, failure.out());
    return failure.or_else<ticket>(status, [&] { return ticket(queued); });
  }

  /// Reads the events that match a query, in the order of their positions. Unless `head` is null,
  /// it receives the value to pass as `after` to batch::require_none if a decision depends on these
  /// events.
  returned<annals::events> read_query(const query &query, const read_options &options = {},
                                      std::uint64_t *head = nullptr) const {
    detail::failure failure;
    const auto [raw_query, made] = query.raw(failure.out());
    if (made < 0) return failure.fail<annals::events>(made);
    const annals_query *const wanted = raw_query.get();
    return read(options, [&](const annals_read_options *raw, annals_iter **out, auto **err) {
      return annals_query_read(raw_.get(), wanted, raw, out, head, err);
    });
  }

  /// The event with the given id; empty if no event has it.
  returned<std::optional<found_event>> event_by_id(const event_id &id) const {
    detail::failure failure;
    annals_iter *raw = nullptr;
    const annals_event *found = nullptr;
    annals_status status = annals_event_by_id(raw_.get(), id.data(), &raw, failure.out());
    detail::owned<annals_iter> iter(raw);
    if (status == ANNALS_OK) status = annals_iter_next(raw, &found, failure.out());
    return failure.or_else<std::optional<found_event>>(status, [&] {
      if (found == nullptr) return std::optional<found_event>();
      return std::optional<found_event>(std::in_place, std::move(iter), *found);
    });
  }

  /// Reads the events of one stream, in the order of their versions.
  returned<annals::events> read_stream(std::string_view stream,
                                       const read_options &options = {}) const {
    return read(options, [&](const annals_read_options *raw, annals_iter **out, auto **err) {
      return annals_read_stream(raw_.get(), stream.data(), stream.size(), raw, out, err);
    });
  }

  /// Reads all events, in the order of their positions.
  returned<annals::events> read_all(const read_options &options = {}) const {
    return read(options, [&](const annals_read_options *raw, annals_iter **out, auto **err) {
      return annals_read_all(raw_.get(), raw, out, err);
    });
  }

  /// Lists the streams whose ids start with `prefix`, in byte order.
  returned<annals::streams> streams(std::string_view prefix = {}) const {
    detail::failure failure;
    annals_stream_iter *raw = nullptr;
    const annals_status status =
        annals_streams(raw_.get(), prefix.data(), prefix.size(), &raw, failure.out());
    detail::owned<annals_stream_iter> iter(raw);
    return failure.or_else<annals::streams>(
        status, [&] { return annals::streams(std::move(iter)); });
  }

  /// Subscribes to all events from a position on, inclusive; 0 is the beginning. `options` may
  /// contain types, a stream prefix, a query and a limit.
  returned<subscription> subscribe(std::uint64_t from_position,
                                   const read_options &options = {}) const {
    detail::failure failure;
    auto [raw, status] = options.raw(failure.out());
    if (status < 0) return failure.fail<subscription>(status, "read_options");
    annals_subscription *found = nullptr;
    status = annals_subscribe(raw_.get(), from_position, raw.get(), &found, failure.out());
    detail::owned<annals_subscription> owned(found);
    return failure.or_else<subscription>(status, [&] { return subscription(std::move(owned)); });
  }

  /// The checkpoint of a consumer: it has finished all events up to this position. 0 if it has
  /// saved no checkpoint.
  returned<std::uint64_t> checkpoint(std::string_view name) const {
    detail::failure failure;
    std::uint64_t position = 0;
    const annals_status status = annals_checkpoint_load(raw_.get(), name.data(), name.size(),
                                                        &position, failure.out());
    return failure.or_else<std::uint64_t>(status, [&] { return position; });
  }

  /// Saves the checkpoint of a consumer, as durably as an append. It never goes back.
  returned<void> save_checkpoint(std::string_view name, std::uint64_t position) const {
    detail::failure failure;
    return failure.or_nothing(annals_checkpoint_save(raw_.get(), name.data(), name.size(),
                                                     position, failure.out()));
  }

  /// Saves bytes that were derived from the events up to a position, as durably as an append.
  returned<void> save_snapshot(std::string_view name, std::uint64_t position, bytes data) const {
    detail::failure failure;
    return failure.or_nothing(annals_snapshot_save(raw_.get(), name.data(), name.size(), position,
                                                   data.data(), data.size(), failure.out()));
  }

  /// Saves text that was derived from the events up to a position, as durably as an append.
  returned<void> save_snapshot(std::string_view name, std::uint64_t position,
                               std::string_view text) const {
    return save_snapshot(name, position, detail::data(text));
  }

  /// The newest usable snapshot of a name; empty if there is none. Snapshots of projections are
  /// separate.
  returned<std::optional<snapshot>> load_snapshot(std::string_view name) const {
    using found = std::optional<snapshot>;
    detail::failure failure;
    annals_snapshot *raw = nullptr;
    const annals_status status =
        annals_snapshot_load(raw_.get(), name.data(), name.size(), &raw, failure.out());
    detail::owned<annals_snapshot> owned(raw);
    return failure.or_else<found>(
        status, [&] { return owned ? found(snapshot(std::move(owned))) : std::nullopt; });
  }

  /// Creates a projection at position 0. The name is the one under which its snapshots are stored.
  returned<annals::projection> projection(std::string_view name) const {
    detail::failure failure;
    annals_projection *raw = nullptr;
    const annals_status status =
        annals_projection_new(raw_.get(), name.data(), name.size(), &raw, failure.out());
    detail::owned<annals_projection> owned(raw);
    return failure.or_else<annals::projection>(
        status, [&] { return annals::projection(std::move(owned)); });
  }

  /// Passes the events of one stream to `apply(const annals::event &)`, in the order of their
  /// versions, up to a given point. From these events it can derive the state that the stream had
  /// at that point.
  template <class Apply>
  returned<void> reconstruct(std::string_view stream, up_to point, Apply &&apply) const {
    using carried = detail::carried<std::remove_reference_t<Apply>>;
    detail::failure failure;
    carried call(apply);
    const auto thunk = [](void *data, const annals_event *raw) noexcept {
      return (*static_cast<carried *>(data))(event(*raw));
    };
    const annals_status status =
        annals_reconstruct_state(raw_.get(), stream.data(), stream.size(), point.kind(),
                                 point.value(), thunk, &call, failure.out());
    call.rethrow();
    return failure.or_nothing(status);
  }

  /// The state of a stream at a given point: calls `apply(State &, const annals::event &)` for its
  /// events, starting with `initial`. The result includes the version to expect in an append that
  /// depends on the state.
  template <class State, class Apply>
  returned<loaded<State>> load(std::string_view stream, State initial, Apply &&apply,
                               up_to point = up_to::now()) const {
    detail::failure failure;
    loaded<State> found{std::move(initial)};
    const annals_status status = load_into(found, stream, apply, point, failure);
    return failure.or_else<loaded<State>>(status, [&] { return std::move(found); });
  }

  /// Loads the state of a stream, calls `decide(const State &)` for a `std::vector<new_event>`, and
  /// appends these events if the stream has not changed meanwhile. After a conflict it starts again
  /// from a copy of `initial`, at most 1000 times. Returns the result of the append, or nothing if
  /// there were no events to append. An exception of `decide` reaches the caller.
  template <class State, class Apply, class Decide>
  returned<std::optional<appended>> update(std::string_view stream, const State &initial,
                                           Apply &&apply, Decide &&decide) const {
    constexpr int attempts_max = 1000;
    for (int attempt = 1;; ++attempt) {
      detail::failure failure;
      loaded<State> found{initial};
      annals_status status = load_into(found, stream, apply, up_to::now(), failure);
      if (status < 0) return failure.fail<std::optional<appended>>(status);
      const std::vector<new_event> events = decide(std::as_const(found.state));
      if (events.empty()) return std::optional<appended>();
      const detail::raw_events raw({events.data(), events.size()});
      appended landed;
      status = annals_append(raw_.get(), stream.data(), stream.size(), found.version, raw.data(),
                             raw.size(), &landed.first_position, &landed.first_version,
                             failure.out());
      if (status == ANNALS_E_VERSION_CONFLICT && attempt < attempts_max) continue;
      landed.status = status;
      return failure.or_else<std::optional<appended>>(
          status, [&] { return std::optional<appended>(landed); });
    }
  }

  /// What the store has done since it was opened, as one JSON object: see annals.h.
  returned<std::string> metrics() const {
    detail::failure failure;
    std::string json;
    const auto write = [](void *data, const std::uint8_t *text, std::size_t len) noexcept {
      static_cast<std::string *>(data)->assign(detail::text(text, len));
      return std::int32_t{0};
    };
    const annals_status status = annals_metrics(raw_.get(), write, &json, failure.out());
    return failure.or_else<std::string>(status, [&] { return std::move(json); });
  }

  /// Passes every event as NDJSON to `write(std::string_view)`, in large pieces. Returns how many
  /// complete lines `write` has taken.
  template <class Write, class = std::enable_if_t<std::is_invocable_v<Write &, std::string_view>>>
  returned<std::uint64_t> export_ndjson(Write &&write) const {
    using carried = detail::carried<std::remove_reference_t<Write>>;
    detail::failure failure;
    carried call(write);
    std::uint64_t events = 0;
    const auto thunk = [](void *data, const std::uint8_t *piece, std::size_t len) noexcept {
      return (*static_cast<carried *>(data))(detail::text(piece, len));
    };
    const annals_status status =
        annals_export_ndjson(raw_.get(), thunk, &call, &events, failure.out());
    call.rethrow();
    return failure.or_else<std::uint64_t>(status, [&] { return events; });
  }

  /// Writes every event as NDJSON, and flushes the output stream. If the stream fails, the call
  /// fails with ANNALS_E_CALLBACK.
  returned<std::uint64_t> export_ndjson(std::ostream &out) const {
    return export_ndjson([&out](std::string_view piece) -> std::int32_t {
      out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
      // What its buffer still holds could be lost after this call has succeeded.
      out.flush();
      return out.good() ? 0 : -1;
    });
  }

  /// Writes every event as NDJSON to a new file. An existing file is never overwritten.
  returned<std::uint64_t> export_ndjson_file(std::string_view path) const {
    detail::failure failure;
    std::uint64_t events = 0;
    const annals_status status = annals_export_ndjson_file(raw_.get(), path.data(), path.size(),
                                                           &events, failure.out());
    return failure.or_else<std::uint64_t>(status, [&] { return events; });
  }

  /// Appends events from `read(annals::span<char>)`, which fills the span and returns the number of
  /// bytes; 0 ends the input. Returns the number of events written. Unless `written` is null, it
  /// receives that number too, also on an error: batches before the fault stay.
  template <class Read,
            class = std::enable_if_t<std::is_invocable_r_v<std::size_t, Read &, span<char>>>>
  returned<std::uint64_t> import_ndjson(Read &&read, import_mode mode = import_mode::faithful,
                                        std::uint32_t flags = 0,
                                        std::uint64_t *written = nullptr) const {
    const auto fill = [&read](span<char> buffer, std::size_t *out_len) {
      *out_len = read(buffer);
    };
    return import_by(fill, mode, flags, written);
  }

  /// Appends the events of an input stream, as above. If the stream fails, the call fails with
  /// ANNALS_E_CALLBACK.
  returned<std::uint64_t> import_ndjson(std::istream &in,
                                        import_mode mode = import_mode::faithful,
                                        std::uint32_t flags = 0,
                                        std::uint64_t *written = nullptr) const {
    const auto fill = [&in](span<char> buffer, std::size_t *out_len) -> std::int32_t {
      in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      *out_len = static_cast<std::size_t>(in.gcount());
      // At the end of its input, a stream fails as well.
      return in.bad() || (in.fail() && !in.eof()) ? -1 : 0;
    };
    return import_by(fill, mode, flags, written);
  }

  /// Appends the events of a file, as above.
  returned<std::uint64_t> import_ndjson_file(std::string_view path,
                                             import_mode mode = import_mode::faithful,
                                             std::uint32_t flags = 0,
                                             std::uint64_t *written = nullptr) const {
    detail::failure failure;
    std::uint64_t events = 0;
    const annals_status status =
        annals_import_ndjson_file(raw_.get(), static_cast<std::uint32_t>(mode), flags, path.data(),
                                  path.size(), &events, failure.out());
    if (written != nullptr) *written = events;
    return failure.or_else<std::uint64_t>(status, [&] { return events; });
  }

  /// Checks the whole store. It changes nothing.
  returned<verification> verify() const {
    detail::failure failure;
    verification report;
    const auto keep = [&report](const annals_error *finding) {
      report.findings.emplace_back(annals_error_status(finding), finding);
    };
    using carried = detail::carried<const decltype(keep)>;
    carried call(keep);
    const auto thunk = [](void *data, const annals_error *finding) noexcept {
      return (*static_cast<carried *>(data))(finding);
    };
    const annals_status status =
        annals_verify(raw_.get(), thunk, &call, &report.events, nullptr, failure.out());
    call.rethrow();
    return failure.or_else<verification>(status, [&] { return std::move(report); });
  }

  /// What the open had to repair.
  returned<annals::recovery> recovery() const {
    detail::failure failure;
    annals::recovery found;
    std::uint64_t micros = 0;
    const annals_status status =
        annals_recovery(raw_.get(), &found.rebuilt_events, &micros, failure.out());
    found.duration = std::chrono::microseconds(micros);
    return failure.or_else<annals::recovery>(status, [&] { return found; });
  }

  /// The store of the C functions. This object keeps ownership.
  annals_store *get() const noexcept { return raw_.get(); }
  /// The store of the C functions. The caller takes ownership.
  annals_store *release() noexcept { return raw_.release(); }

 private:
  template <class Open>
  static returned<store> open_by(Open *open, std::string_view path, const options &with) {
    detail::failure failure;
    const detail::owned<annals_options> options(annals_options_new());
    annals_status status = options ? ANNALS_OK : ANNALS_E_NO_MEMORY;
    std::string about = "options.buffered";
    if (status >= 0 && with.buffered.count() != 0) {
      const auto delay = with.buffered.count();
      const bool fits = delay > 0 && delay <= std::int64_t{UINT32_MAX};
      status = annals_options_set_durability(options.get(), ANNALS_DURABILITY_BUFFERED,
                                             fits ? static_cast<std::uint32_t>(delay) : 0);
    }
    if (status >= 0) status = annals_options_set_cache_bytes(options.get(), with.cache_bytes);
    if (status >= 0) status = annals_options_set_create(options.get(), with.create);
    if (status >= 0) status = annals_options_set_rebuild(options.get(), with.rebuild);
    if (status >= 0) {
      const auto wait = std::clamp<std::int64_t>(with.wait.count(), 0, UINT32_MAX);
      status = annals_options_set_wait_ms(options.get(), static_cast<std::uint32_t>(wait));
    }
    for (const upcaster &step : with.upcasters) {
      if (status < 0) break;
      about = "options.upcasters, " + step.type + " from version " +
              std::to_string(step.from_version);
      // The call takes ownership of the upcaster, even if it fails.
      status = annals_options_add_upcaster(options.get(), step.type.data(), step.type.size(),
                                           step.from_version, detail::upcast, new upcaster(step),
                                           detail::drop_upcaster);
    }
    if (status < 0) return failure.fail<store>(status, about);
    annals_store *raw = nullptr;
    status = open(path.data(), path.size(), options.get(), &raw, failure.out());
    return failure.or_else<store>(status, [&] { return store(raw); });
  }

  /// Applies the events of a stream, and rethrows exceptions of `apply`.
  template <class State, class Apply>
  annals_status load_into(loaded<State> &found, std::string_view stream, Apply &apply,
                          up_to point, detail::failure &failure) const {
    const auto apply_one = [&](const annals::event &event) {
      return detail::answer(apply, found.state, event);
    };
    using carried = detail::carried<decltype(apply_one)>;
    carried call(apply_one);
    const auto thunk = [](void *data, const annals_event *raw) noexcept {
      return (*static_cast<carried *>(data))(event(*raw));
    };
    const annals_status status = annals_reconstruct_state_versioned(
        raw_.get(), stream.data(), stream.size(), point.kind(), point.value(), thunk, &call,
        &found.version, &found.position, failure.out());
    call.rethrow();
    return status;
  }

  template <class Start>
  returned<annals::events> read(const read_options &options, Start &&start) const {
    detail::failure failure;
    auto [raw, status] = options.raw(failure.out());
    if (status < 0) return failure.fail<annals::events>(status, "read_options");
    annals_iter *found = nullptr;
    status = start(raw.get(), &found, failure.out());
    detail::owned<annals_iter> iter(found);
    return failure.or_else<annals::events>(
        status, [&] { return annals::events(std::move(iter)); });
  }

  template <class Fill>
  returned<std::uint64_t> import_by(const Fill &fill, import_mode mode, std::uint32_t flags,
                                    std::uint64_t *written) const {
    using carried = detail::carried<const Fill>;
    detail::failure failure;
    carried call(fill);
    std::uint64_t events = 0;
    const auto thunk = [](void *data, std::uint8_t *buffer, std::size_t capacity,
                          std::size_t *out_len) noexcept {
      const span<char> room(reinterpret_cast<char *>(buffer), capacity);
      return (*static_cast<carried *>(data))(room, out_len);
    };
    const annals_status status =
        annals_import_ndjson(raw_.get(), static_cast<std::uint32_t>(mode), flags, thunk, &call,
                             &events, failure.out());
    if (written != nullptr) *written = events;
    call.rethrow();
    return failure.or_else<std::uint64_t>(status, [&] { return events; });
  }

  detail::owned<annals_store> raw_;
};

/// Opens a store read-only: see store::open_reader.
inline returned<store> reader(std::string_view path, const options &with = {}) {
  return store::open_reader(path, with);
}

#ifndef ANNALS_NO_EXCEPTIONS
inline projection::projection(const store &store, std::string_view name)
    : projection(store.projection(name)) {}
#endif

}  // namespace ANNALS_WAY_SPANS
}  // namespace ANNALS_WAY_ERRORS
}  // namespace annals

#undef ANNALS_WAY_ERRORS
#undef ANNALS_WAY_SPANS

#endif
