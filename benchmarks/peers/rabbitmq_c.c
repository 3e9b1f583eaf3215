/* librabbitmq, the ceiling: up to 1024 publishes wait for their confirm; prefetch 1024, one ack with `multiple` for 128.
 * Persistent and mandatory as everywhere; a return, a nack or a closed channel ends it with an error.
 * The command line is that of contract.py; linked with -lrabbitmq only. */
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { WINDOW = 1024, ACK_EVERY = 128, STAMP = 16, SAMPLE = 64, FLUSH_US = 50000, MOST = 1000000 };

static volatile sig_atomic_t stopping;
static long count, sampled;
static double began, first, ended, cpu, used;
static int64_t *latencies;
static amqp_connection_state_t connection;

static void on_signal(int number) { stopping = number; }

static void fail(const char *what) {
  fprintf(stderr, "rabbitmq_c: %s\n", what);
  exit(1);
}

static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static double monotonic(void) { return nanoseconds(CLOCK_MONOTONIC) / 1e9; }
static double process_time(void) { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID) / 1e9; }

/* As span.py: until about the last message, without the end. */
static void sample(void) {
  used = process_time() - cpu;
  sampled = count ? count : 1;
}

static void check(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail(what);
}

static const char *setting(const char *name) {
  const char *value = getenv(name);
  if (!value) fail(name);
  return value;
}

static void open_connection(void) {
  struct amqp_connection_info info;
  char *url = strdup(setting("BENCH_URL"));
  amqp_default_connection_info(&info);
  if (amqp_parse_url(url, &info) != AMQP_STATUS_OK) fail("BENCH_URL is no AMQP URL");
  connection = amqp_new_connection();
  if (amqp_socket_open(amqp_tcp_socket_new(connection), info.host, info.port)) fail("cannot connect");
  check(amqp_login(connection, info.vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 60, AMQP_SASL_METHOD_PLAIN, info.user,
                   info.password), "the login was refused");
  amqp_channel_open(connection, 1);
  check(amqp_get_rpc_reply(connection), "no channel");
}

/* Takes what the broker said about publishes; waits no longer than until `until` (0: for ever). */
static void take_confirms(double until) {
  amqp_frame_t frame;
  struct timeval wait = {0, 0};
  if (until > 0) {
    double left = until - monotonic();
    if (left > 0) wait = (struct timeval){(time_t)left, (suseconds_t)((left - (time_t)left) * 1e6)};
  }
  int status = amqp_simple_wait_frame_noblock(connection, &frame, until ? &wait : NULL);
  if (status == AMQP_STATUS_TIMEOUT) return;
  if (status || frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
    fail("a publish was not confirmed");
  amqp_basic_ack_t *ack = frame.payload.method.decoded;
  ended = monotonic();
  if (!count) first = ended;
  count = ack->multiple ? (long)ack->delivery_tag : count + 1;
  if (count - sampled >= SAMPLE) sample();
  amqp_maybe_release_buffers(connection);
}

static void publish(long total, size_t size, double rate) {
  char *body = malloc(size);
  memset(body, 'x', size);
  amqp_bytes_t bytes = {size, body}, queue = amqp_cstring_bytes(setting("BENCH_QUEUE"));
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = AMQP_DELIVERY_PERSISTENT};
  if (!amqp_confirm_select(connection, 1)) fail("no confirms");
  cpu = process_time();
  began = monotonic();
  for (long sent = 0; sent < total; sent++) {
    double due = began + (rate > 0 ? sent / rate : 0);
    int late = rate > 0 && monotonic() > due;
    while (monotonic() < due) take_confirms(due);
    while (sent - count >= WINDOW) take_confirms(0);
    char stamp[STAMP + 1];
    int64_t left = late ? (int64_t)(due * 1e9) : nanoseconds(CLOCK_MONOTONIC);
    snprintf(stamp, sizeof stamp, "%016llx", (unsigned long long)left);
    memcpy(body, stamp, STAMP);
    if (amqp_basic_publish(connection, 1, amqp_empty_bytes, queue, 1, 0, &properties, bytes)) fail("a publish failed");
  }
  while (count < total) take_confirms(0);
}

static void consume(int latency) {
  uint64_t tag = 0, acked = 0;
  signal(SIGTERM, on_signal);
  if (latency) latencies = malloc(MOST * sizeof *latencies);
  amqp_basic_qos(connection, 1, 0, WINDOW, 0);
  amqp_basic_consume(connection, 1, amqp_cstring_bytes(setting("BENCH_QUEUE")), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  check(amqp_get_rpc_reply(connection), "cannot consume");
  while (!stopping) {
    amqp_envelope_t envelope;
    struct timeval wait = {0, FLUSH_US};
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &wait, 0);
    int idle = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT;
    if (!idle) {
      check(reply, "the delivery failed");
      int64_t now = nanoseconds(CLOCK_MONOTONIC);
      if (latency && count < MOST) {
        char stamp[STAMP + 1] = {0};
        memcpy(stamp, envelope.message.body.bytes, STAMP);
        latencies[count] = now - (int64_t)strtoull(stamp, NULL, 16);
      }
      ended = now / 1e9;
      if (!count++) began = first = ended, cpu = process_time();
      if (!(count % SAMPLE)) sample();
      tag = envelope.delivery_tag;
      amqp_destroy_envelope(&envelope);
    }
    if (tag - acked >= (idle ? 1 : ACK_EVERY) && amqp_basic_ack(connection, 1, acked = tag, 1)) fail("an ack failed");
  }
  if (tag > acked) amqp_basic_ack(connection, 1, tag, 1);
}

static void report(void) {
  char line[256];
  long peak = 0;
  if (!sampled) sample();
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &peak);
  FILE *file = fopen(setting("BENCH_REPORT"), "w");
  if (!file) fail("cannot write BENCH_REPORT");
  fprintf(file, "{\"count\": %ld, \"began\": %.9f, \"first\": %.9f, \"ended\": %.9f, \"cpu\": %.6f, \"peak_kib\": %ld, \"latencies_ns\": [",
          count, began, first, ended, used * count / sampled, peak);
  for (long i = 0; latencies && i < count; i++) fprintf(file, "%s%lld", i ? ", " : "", (long long)latencies[i]);
  fprintf(file, "]}\n");
  if (fclose(file)) fail("cannot write BENCH_REPORT");
}

int main(int argc, char **argv) {
  open_connection();
  if (argc == 5 && !strcmp(argv[1], "publish")) publish(atol(argv[2]), strtoul(argv[3], NULL, 10), atof(argv[4]));
  else if (argc == 2) consume(!strcmp(argv[1], "latency"));
  else fail("usage: publish COUNT SIZE RATE | consume | latency");
  check(amqp_connection_close(connection, AMQP_REPLY_SUCCESS), "the connection did not close in order");
  amqp_destroy_connection(connection);
  report();
  return 0;
}
