/* The library as a plug-in, whose path is the argument. It stays loaded: it may be closed while a
 * thread that used it is still running.
 */

#include "check.h"

#include <dlfcn.h>
#include <pthread.h>

static void *library;
static pthread_barrier_t used, unloaded;

/* The functions are looked up, so the program itself does not link the library. */
#define LOOK_UP(name) \
  __typeof__(&name) f_##name = NULL; \
  *(void **)&f_##name = dlsym(library, #name); \
  CHECK(f_##name != NULL)

/* The library's threads run until the end of the program, so it must never be unloaded. */
static void it_stays_loaded(const char *path) {
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL && dlclose(library) == 0);
  CHECK(dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != NULL);
}

static void *use(void *nothing) {
  LOOK_UP(annals_open);
  LOOK_UP(annals_append);
  LOOK_UP(annals_head);
  LOOK_UP(annals_close);
  annals_store *store = NULL;
  annals_new_event event = json("T", "1");
  uint64_t head = 0;
  CHECK(f_annals_open("plugin.annals", NT, NULL, &store, NULL) == ANNALS_OK);
  CHECK(f_annals_append(store, "s", 1, 0, &event, 1, NULL, NULL, NULL) == ANNALS_OK);
  CHECK(f_annals_head(store, &head, NULL) == ANNALS_OK && head == 1);
  CHECK(f_annals_close(store, NULL) == ANNALS_OK);
  pthread_barrier_wait(&used);
  pthread_barrier_wait(&unloaded);
  /* The end of the thread runs the destructors of its thread-local values. */
  return nothing;
}

int main(int argc, char **argv) {
  pthread_t thread;
  CHECK(argc == 2);
  it_stays_loaded(argv[1]);
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  pthread_barrier_init(&used, NULL, 2);
  pthread_barrier_init(&unloaded, NULL, 2);
  CHECK(pthread_create(&thread, NULL, use, NULL) == 0);
  pthread_barrier_wait(&used);
  CHECK(dlclose(library) == 0);
  pthread_barrier_wait(&unloaded);
  CHECK(pthread_join(thread, NULL) == 0);
  return 0;
}
