/* Tickets: each has its outcome, in order, whatever becomes of the store. */

#include "batches.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define MANY 300

static annals_store *open_at(const char *path) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  OK(annals_open(path, NT, NULL, &store, &error));
  return store;
}

/* Submits a batch and frees it. */
static annals_ticket *submit(annals_store *store, annals_batch *batch) {
  annals_error *error = NULL;
  annals_ticket *ticket = NULL;
  OK(annals_batch_submit(batch, store, &ticket, &error));
  annals_batch_free(batch);
  return ticket;
}

static void calls_of_one_thread_keep_their_order(annals_store *store) {
  annals_error *error = NULL;
  annals_ticket *tickets[MANY];
  annals_new_event event = json("T", "1");
  uint64_t position = 0, number = 0;
  for (number = 0; number < MANY; number++) {
    tickets[number] = NULL;
    if (number % 3 == 0) {
      commit(store, batch_with("order", number, "T"), ANNALS_OK, number + 1);
    } else if (number % 50 == 49) {
      OK(annals_append(store, "order", NT, number, &event, 1, &position, NULL, &error));
      CHECK(position == number + 1);
    } else {
      tickets[number] = submit(store, batch_with("order", number, "T"));
    }
  }
  for (number = 0; number < MANY; number++) {
    if (tickets[number] == NULL) continue;
    OK(annals_ticket_wait(tickets[number], -1, &position, &error));
    CHECK(position == number + 1);
    annals_ticket_free(tickets[number]);
  }
}

/* A ticket answers what a commit would have answered, each time it is asked. */
static void a_ticket_has_every_outcome(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("T", "1");
  const uint8_t id[16] = {1};
  annals_string tag = {"outcome", NT};
  annals_query *query = by_tag("outcome");
  annals_batch *batch = NULL;
  annals_ticket *ticket = NULL;
  annals_status due[6] = {ANNALS_OK,           ANNALS_ALREADY_STORED,    ANNALS_E_DUPLICATE_ID,
                          ANNALS_E_CONDITION, ANNALS_E_VERSION_CONFLICT, ANNALS_E_INVALID_ARGUMENT};
  uint64_t first = head_of(store) + 1, position = 0;
  size_t which = 9;
  int kind = 0, again = 0;
  for (kind = 0; kind < 6; kind++) {
    event = tagged(kind == 2 ? "Other" : "T", &tag, 1);
    event.id = kind < 3 ? id : NULL;
    batch = annals_batch_new();
    OK(annals_batch_append(batch, "outcomes", NT, kind == 4 ? 9 : ANNALS_EXPECT_ANY, &event, 1,
                           &error));
    if (kind >= 3 && kind <= 4) OK(annals_batch_require_none(batch, query, 0, &error));
    if (kind == 5) OK(annals_batch_checkpoint(batch, "c", NT, first + 2, &error));
    ticket = submit(store, batch);
    for (again = 0; again < 2; again++) {
      annals_status rc = annals_ticket_wait(ticket, -1, &position, &error);
      CHECK(rc == due[kind] && position == (kind < 2 ? first : 0));
      CHECK((rc < 0) == (error != NULL) && annals_error_status(error) == (rc < 0 ? rc : ANNALS_OK));
      CHECK(annals_error_condition_count(error) == (kind == 3 || kind == 4));
      CHECK(annals_error_conflict_count(error) == (kind == 4));
      if (kind == 3) {
        CHECK(annals_error_condition(error, 0, &which, &position));
        CHECK(which == 0 && position == first);
      }
      annals_error_free(error);
      error = NULL;
    }
    annals_ticket_free(ticket);
  }
  annals_query_free(query);
  CHECK(head_of(store) == first);
}

static void *wait_for(void *ticket) {
  annals_error *error = NULL;
  uint64_t position = 0;
  OK(annals_ticket_wait(ticket, -1, &position, &error));
  CHECK(position > 0);
  return NULL;
}

static void several_threads_wait_for_one_ticket(annals_store *store) {
  pthread_t threads[4];
  annals_ticket *ticket = submit(store, batch_with("waited", ANNALS_EXPECT_ANY, "T"));
  int index = 0;
  for (index = 0; index < 4; index++) {
    CHECK(pthread_create(&threads[index], NULL, wait_for, ticket) == 0);
  }
  for (index = 0; index < 4; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  annals_ticket_free(ticket);
}

typedef struct handled {
  annals_store *store;
  annals_ticket *ticket;
  annals_status polled, waited;
} handled;

static int32_t submit_and_wait(void *user_data, const annals_event *event) {
  handled *with = user_data;
  (void)event;
  with->ticket = submit(with->store, batch_with("answer", ANNALS_EXPECT_ANY, "Answer"));
  with->polled = annals_ticket_wait(with->ticket, 0, NULL, NULL);
  with->waited = annals_ticket_wait(with->ticket, -1, NULL, NULL);
  return 0;
}

/* The thread that runs the callback of a submitted batch is the one that answers tickets. */
static void a_callback_may_poll_and_must_not_wait(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = NULL;
  handled with = {store, NULL, ANNALS_OK, ANNALS_OK};
  annals_ticket *ticket = NULL;
  OK(annals_projection_new(store, "handled", NT, &projection, &error));
  OK(annals_projection_when(projection, "Asked", NT, submit_and_wait, &with, NULL, &error));
  OK(annals_projection_live(projection, &error));
  ticket = submit(store, batch_with("asked", ANNALS_EXPECT_ANY, "Asked"));
  OK(annals_ticket_wait(ticket, -1, NULL, &error));
  CHECK(with.polled == ANNALS_TIMEOUT && with.waited == ANNALS_E_BUSY);
  OK(annals_ticket_wait(with.ticket, -1, NULL, &error));
  annals_ticket_free(with.ticket);
  annals_ticket_free(ticket);
  annals_projection_free(projection);
}

static void a_free_cancels_nothing_and_waits_for_nothing(const char *path) {
  annals_error *error = NULL;
  annals_store *store = open_at(path);
  annals_ticket *last = NULL;
  uint64_t before = head_of(store), number = 0;
  for (number = 0; number < MANY; number++) {
    annals_ticket *ticket = submit(store, batch_with("freed", ANNALS_EXPECT_ANY, "T"));
    if (number + 1 < MANY) {
      annals_ticket_free(ticket);
    } else {
      last = ticket;
    }
  }
  OK(annals_close(store, &error));
  /* It outlives its store. */
  OK(annals_ticket_wait(last, -1, &number, &error));
  CHECK(number == before + MANY);
  store = open_at(path);
  CHECK(head_of(store) == before + MANY);
  OK(annals_ticket_wait(last, 0, &number, &error));
  annals_ticket_free(last);
  close_store(store);
}

/* Every write fails from now on. */
static void fail_writes(bool fails) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  limit.rlim_cur = fails ? 0 : limit.rlim_max;
  CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void a_poisoned_store_answers_every_ticket(const char *path) {
  annals_error *error = NULL;
  annals_store *store = open_at(path);
  annals_ticket *tickets[20];
  annals_ticket *ticket = NULL;
  annals_batch *batch = NULL;
  annals_iter *iter = NULL;
  uint64_t before = head_of(store);
  int count_of_tickets = 0, index = 0;
  annals_status rc = ANNALS_OK;
  ticket = submit(store, batch_with("sound", ANNALS_EXPECT_ANY, "T"));
  OK(annals_ticket_wait(ticket, -1, NULL, &error));
  annals_ticket_free(ticket);
  fail_writes(true);
  for (index = 0; index < 20; index++) {
    /* Once a group has failed, the next submit says so itself. */
    batch = batch_with("lost", ANNALS_EXPECT_ANY, "T");
    rc = annals_batch_submit(batch, store, &ticket, &error);
    CHECK(rc == ANNALS_OK || rc == ANNALS_E_POISONED);
    CHECK((rc == ANNALS_OK) == (ticket != NULL) && (rc < 0) == (error != NULL));
    if (rc == ANNALS_OK) tickets[count_of_tickets++] = ticket;
    annals_error_free(error);
    error = NULL;
    annals_batch_free(batch);
  }
  CHECK(count_of_tickets > 0);
  for (index = 0; index < count_of_tickets; index++) {
    EXPECT(ANNALS_E_POISONED, annals_ticket_wait(tickets[index], -1, NULL, &error));
  }
  commit(store, batch_with("lost", ANNALS_EXPECT_ANY, "T"), ANNALS_E_POISONED, 0);
  CHECK(head_of(store) == before + 1);
  OK(annals_read_all(store, NULL, &iter, &error));
  CHECK(count(iter) == before + 1);
  fail_writes(false);
  EXPECT(ANNALS_E_POISONED, annals_close(store, &error));
  for (index = 0; index < count_of_tickets; index++) {
    EXPECT(ANNALS_E_POISONED, annals_ticket_wait(tickets[index], -1, NULL, &error));
    EXPECT(ANNALS_E_POISONED, annals_ticket_wait(tickets[index], 0, NULL, &error));
    annals_ticket_free(tickets[index]);
  }
  store = open_at(path);
  CHECK(head_of(store) == before + 1);
  commit(store, batch_with("sound", 1, "T"), ANNALS_OK, before + 2);
  close_store(store);
}

typedef struct closed_meanwhile {
  annals_store *store;
  sem_t begun;
  atomic_bool is_over;
  annals_status closed, submitted;
  uint64_t head;
} closed_meanwhile;

/* Goes on when another thread closes the store, and uses it once more. */
static int32_t use_while_closing(void *user_data, const annals_event *event) {
  closed_meanwhile *with = user_data;
  (void)event;
  with->closed = annals_close(with->store, NULL);
  CHECK(sem_post(&with->begun) == 0);
  do {
    annals_ticket *ticket = NULL;
    annals_batch *batch = batch_with("probe", ANNALS_EXPECT_ANY, "Probe");
    with->submitted = annals_batch_submit(batch, with->store, &ticket, NULL);
    annals_ticket_free(ticket);
    annals_batch_free(batch);
    sched_yield();
  } while (with->submitted == ANNALS_OK && !with->is_over);
  with->head = head_of(with->store);
  return 0;
}

/* The callbacks of submitted batches run on a thread of the store. They are no reason not to close
 * it, and have the store until they return. */
static void a_close_waits_for_the_callbacks_of_batches(const char *path) {
  annals_error *error = NULL;
  annals_store *store = open_at(path);
  annals_projection *projection = NULL;
  annals_ticket *ticket = NULL;
  annals_status rc = ANNALS_OK;
  closed_meanwhile with;
  memset(&with, 0, sizeof with);
  with.store = store;
  CHECK(sem_init(&with.begun, 0, 0) == 0);
  OK(annals_projection_new(store, "closing", NT, &projection, &error));
  OK(annals_projection_when(projection, "Last", NT, use_while_closing, &with, NULL, &error));
  OK(annals_projection_live(projection, &error));
  ticket = submit(store, batch_with("last", ANNALS_EXPECT_ANY, "Last"));
  while (sem_wait(&with.begun) != 0) continue;
  rc = annals_close(store, &error);
  with.is_over = true;
  EXPECT(ANNALS_OK, rc);
  CHECK(with.closed == ANNALS_E_BUSY && with.submitted == ANNALS_E_CLOSED && with.head > 0);
  OK(annals_ticket_wait(ticket, 0, NULL, &error));
  annals_ticket_free(ticket);
  annals_projection_free(projection);
}

static void a_closed_store_takes_no_batch(const char *path) {
  annals_error *error = NULL;
  annals_store *store = open_at(path);
  annals_iter *iter = NULL;
  const annals_event *event = NULL;
  annals_ticket *ticket = submit(store, batch_with("last", ANNALS_EXPECT_ANY, "T"));
  uint64_t position = 0;
  OK(annals_read_all(store, NULL, &iter, &error));
  close_store(store);
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(iter, &event, &error));
  annals_iter_free(iter);
  OK(annals_ticket_wait(ticket, 0, &position, &error));
  CHECK(position > 0);
  annals_ticket_free(ticket);
}

int main(void) {
  annals_store *store = open_at("tickets.annals");
  calls_of_one_thread_keep_their_order(store);
  a_ticket_has_every_outcome(store);
  several_threads_wait_for_one_ticket(store);
  a_callback_may_poll_and_must_not_wait(store);
  close_store(store);
  a_free_cancels_nothing_and_waits_for_nothing("tickets.annals");
  a_poisoned_store_answers_every_ticket("tickets.annals");
  a_closed_store_takes_no_batch("tickets.annals");
  a_close_waits_for_the_callbacks_of_batches("tickets.annals");
  return 0;
}
