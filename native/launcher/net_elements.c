#define _GNU_SOURCE 1
#include "net_elements.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of an attribute, with an unsigned type. */
static const size_t NLA_HEADER = sizeof(struct nlattr);
/* An attribute says its length in 16 bits, so that a long list of elements is several messages. */
enum { LIST_SIZE = 32768, SOCKET_BUFFER = 8 << 20, ANSWER_SIZE = 16384 };

static void *reserve(struct change *change, size_t size) {
  size_t aligned = NLMSG_ALIGN(size);
  if (change->failed) return NULL;
  if (change->capacity - change->length < aligned) {
    size_t capacity = change->capacity ? change->capacity * 2 : 16384;
    while (capacity - change->length < aligned) capacity *= 2;
    uint8_t *data = realloc(change->data, capacity);
    if (!data) {
      change->failed = true;
      return NULL;
    }
    change->data = data;
    change->capacity = capacity;
  }
  void *at = change->data + change->length;
  memset(at, 0, aligned);
  change->length += aligned;
  return at;
}

static void put_message(struct change *change, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource) {
  change->message = change->length;
  struct nlmsghdr *header = reserve(change, NLMSG_HDRLEN + sizeof(struct nfgenmsg));
  if (!header) return;
  header->nlmsg_type = type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  struct nfgenmsg *body = NLMSG_DATA(header);
  body->nfgen_family = family;
  body->version = NFNETLINK_V0;
  body->res_id = htons(resource);
}

static void end_message(struct change *change) {
  if (change->failed) return;
  struct nlmsghdr *header = (void *)(change->data + change->message);
  header->nlmsg_len = (uint32_t)(change->length - change->message);
}

static size_t put(struct change *change, uint16_t type, const void *data, size_t size) {
  size_t start = change->length;
  struct nlattr *at = reserve(change, NLA_HEADER + size);
  if (!at) return start;
  at->nla_type = type;
  at->nla_len = (uint16_t)(NLA_HEADER + size);
  if (size) memcpy((uint8_t *)at + NLA_HEADER, data, size);
  return start;
}

static size_t begin(struct change *change, uint16_t type) {
  return put(change, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
}

static void end(struct change *change, size_t start) {
  if (change->failed) return;
  struct nlattr *at = (void *)(change->data + start);
  at->nla_len = (uint16_t)(change->length - start);
}

static void put_text(struct change *change, uint16_t type, const char *text) {
  put(change, type, text, strlen(text) + 1);
}

static void put_u32(struct change *change, uint16_t type, uint32_t value) {
  uint32_t net = htonl(value);
  put(change, type, &net, sizeof net);
}

static void put_value(struct change *change, uint16_t type, const void *data, size_t size) {
  size_t nest = begin(change, type);
  put(change, NFTA_DATA_VALUE, data, size);
  end(change, nest);
}

static void close_list(struct change *change) {
  if (!change->elements) return;
  end(change, change->elements);
  end_message(change);
  change->elements = 0;
}

static void open_message(struct change *change, const char *verb, uint16_t type, const char *set) {
  close_list(change);
  if (!change->length) {
    put_message(change, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end_message(change);
  }
  if (change->count == countof(change->steps) || strlen(set) >= sizeof change->steps[0].set) {
    change->failed = true;
    return;
  }
  struct step *step = &change->steps[change->count++];
  step->verb = verb;
  strcpy(step->set, set);
  uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_ACK | NLM_F_CREATE : NLM_F_ACK;
  put_message(change, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
  put_text(change, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
  put_text(change, NFTA_SET_ELEM_LIST_SET, set);
}

static void open_list(struct change *change, const char *verb, uint16_t type, const char *set) {
  open_message(change, verb, type, set);
  change->elements = begin(change, NFTA_SET_ELEM_LIST_ELEMENTS);
}

/* One list goes on when the next change is of the same kind and set. */
static bool goes_on(const struct change *change, const char *verb, const char *set) {
  if (!change->elements) return false;
  const struct step *last = &change->steps[change->count - 1];
  return last->verb == verb && strcmp(last->set, set) == 0;
}

void change_add(struct change *change, const char *set) {
  static const char verb[] = "add to";
  if (!goes_on(change, verb, set)) open_list(change, verb, NFT_MSG_NEWSETELEM, set);
}

void change_remove(struct change *change, const char *set) {
  static const char verb[] = "remove from";
  if (!goes_on(change, verb, set)) open_list(change, verb, NFT_MSG_DELSETELEM, set);
}

void change_flush(struct change *change, const char *set) {
  open_message(change, "empty", NFT_MSG_DELSETELEM, set);
  end_message(change);
}

static void put_limit(struct change *change, uint32_t connections) {
  size_t expression = begin(change, NFTA_SET_ELEM_EXPR);
  put_text(change, NFTA_EXPR_NAME, "connlimit");
  size_t data = begin(change, NFTA_EXPR_DATA);
  put_u32(change, NFTA_CONNLIMIT_COUNT, connections);
  put_u32(change, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  end(change, data);
  end(change, expression);
}

static void put_element(struct change *change, const struct element *element) {
  size_t nest = begin(change, NFTA_LIST_ELEM);
  put_value(change, NFTA_SET_ELEM_KEY, element->key, element->key_size);
  if (element->interval_end) put_u32(change, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  if (element->mark) put_value(change, NFTA_SET_ELEM_DATA, element->mark, sizeof *element->mark);
  if (element->timeout_msec) {
    uint64_t timeout = htobe64(element->timeout_msec);
    put(change, NFTA_SET_ELEM_TIMEOUT, &timeout, sizeof timeout);
  }
  if (element->connections) put_limit(change, element->connections);
  end(change, nest);
}

void change_element(struct change *change, const struct element *element) {
  if (change->failed) return;
  if (change->length - change->elements > LIST_SIZE) {
    struct step step = change->steps[change->count - 1];
    const struct nlmsghdr *header = (void *)(change->data + change->message);
    open_list(change, step.verb, header->nlmsg_type & 0xff, step.set);
  }
  put_element(change, element);
}

void change_free(struct change *change) {
  free(change->data);
  *change = (struct change){0};
}

static void clear(struct change *change) {
  change->length = 0;
  change->count = 0;
  change->elements = 0;
  change->failed = false;
}

bool rules_open(struct rules *rules, struct failure *failure) {
  int on = 1;
  int size = SOCKET_BUFFER;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  *rules = (struct rules){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
  /* A transaction is one datagram, however long. Where the kernel does not let us, only the longest rules fail. */
  if (rules->fd >= 0) (void)setsockopt(rules->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  /* An answer does not repeat the request. */
  if (rules->fd >= 0 && bind(rules->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      setsockopt(rules->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) == 0)
    return true;
  fail(failure, errno, "rules socket", "%s", strerror(errno));
  close_fd(&rules->fd);
  return false;
}

void rules_close(struct rules *rules) { close_fd(&rules->fd); }

/* Numbers the messages from `rules->sequence` + 1 on and sends them. What an earlier call left unread is dropped. */
static bool send_all(struct change *change, struct rules *rules, struct failure *failure) {
  uint8_t unread[64];
  while (recv(rules->fd, unread, sizeof unread, MSG_DONTWAIT) > 0) continue;
  size_t left = change->length;
  uint32_t sequence = rules->sequence;
  for (struct nlmsghdr *at = (void *)change->data; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left))
    at->nlmsg_seq = ++sequence;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do sent = sendto(rules->fd, change->data, change->length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  return sent >= 0 || fail(failure, errno, "rules", "%s", strerror(errno));
}

/* The kernel has answered before the request returns; -1 with EAGAIN when there is no more. */
static ssize_t receive(const struct rules *rules, uint8_t *buffer, size_t size) {
  ssize_t got;
  do got = recv(rules->fd, buffer, size, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return got;
}

static int error_of(const struct nlmsghdr *header) {
  const struct nlmsgerr *error = NLMSG_DATA(header);
  return header->nlmsg_type == NLMSG_ERROR ? -error->error : 0;
}

/* Reads the answers to a transaction whose first message has the sequence number `first`. */
static bool read_answers(const struct change *change, const struct rules *rules, uint32_t first,
                         struct failure *failure) {
  uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  size_t answered = 0;
  ssize_t got;
  while ((got = receive(rules, buffer, sizeof buffer)) > 0) {
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      uint32_t index = at->nlmsg_seq - first;
      int error = error_of(at);
      if (index - 1 < change->count) {
        const struct step *step = &change->steps[index - 1];
        if (error) fail(failure, error, "rules", "%s %s: %s", step->verb, step->set, strerror(error));
        answered++;
      } else if (error) {
        fail(failure, error, "rules", "transaction: %s", strerror(error));
      }
    }
  }
  if (failure->error) return false;
  return answered == change->count || fail(failure, EIO, "rules", "the kernel answered %zu of %zu changes",
                                           answered, change->count);
}

bool change_commit(struct change *change, struct rules *rules, struct failure *failure) {
  close_list(change);
  put_message(change, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  end_message(change);
  uint32_t first = rules->sequence + 1;
  bool ok = !change->failed || fail(failure, ENOBUFS, "rules", "too many changes at once");
  ok = ok && send_all(change, rules, failure) && read_answers(change, rules, first, failure);
  rules->sequence += (uint32_t)change->count + 2;
  clear(change);
  return ok;
}

static const struct nlattr *attribute(const void *data, size_t left, uint16_t type) {
  const uint8_t *at = data;
  while (left >= NLA_HEADER) {
    const struct nlattr *attribute = (const void *)at;
    if (attribute->nla_len < NLA_HEADER || attribute->nla_len > left) return NULL;
    if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
    size_t size = NLA_ALIGN(attribute->nla_len);
    if (size >= left) return NULL;
    at += size;
    left -= size;
  }
  return NULL;
}

static const struct nlattr *inner(const struct nlattr *outer, uint16_t type) {
  if (!outer) return NULL;
  return attribute((const uint8_t *)outer + NLA_HEADER, outer->nla_len - NLA_HEADER, type);
}

static void copy(const struct nlattr *from, void *out, size_t size) {
  if (from && from->nla_len == NLA_HEADER + size) memcpy(out, (const uint8_t *)from + NLA_HEADER, size);
}

static void read_element(const struct nlmsghdr *header, struct found *out) {
  size_t left = NLMSG_PAYLOAD(header, sizeof(struct nfgenmsg));
  const uint8_t *body = (const uint8_t *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
  const struct nlattr *element = inner(attribute(body, left, NFTA_SET_ELEM_LIST_ELEMENTS), NFTA_LIST_ELEM);
  if (!element) return;
  out->found = true;
  copy(inner(inner(element, NFTA_SET_ELEM_DATA), NFTA_DATA_VALUE), &out->mark, sizeof out->mark);
  copy(inner(element, NFTA_SET_ELEM_EXPIRATION), &out->left_msec, sizeof out->left_msec);
  out->left_msec = be64toh(out->left_msec);
}

/* Sends the one question that `change` holds and frees it. @returns 0 or the errno that answers it; `found` may be
   NULL. */
static int ask(struct change *change, struct rules *rules, struct found *found, struct failure *failure) {
  int error = 0;
  uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  end_message(change);
  bool sent = !change->failed && send_all(change, rules, failure);
  if (!sent) error = failure->error ? failure->error : ENOMEM;
  rules->sequence++;
  change_free(change);
  ssize_t got;
  while (sent && (got = receive(rules, buffer, sizeof buffer)) > 0) {
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (error_of(at)) error = error_of(at);
      else if (at->nlmsg_type != NLMSG_ERROR && found) read_element(at, found);
    }
  }
  return error;
}

bool element_find(struct rules *rules, const char *set, const void *key, size_t size, struct found *out,
                  struct failure *failure) {
  struct change question = {0};
  *out = (struct found){0};
  put_message(&question, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NLM_F_ACK, NFPROTO_INET, 0);
  put_text(&question, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
  put_text(&question, NFTA_SET_ELEM_LIST_SET, set);
  size_t elements = begin(&question, NFTA_SET_ELEM_LIST_ELEMENTS);
  put_element(&question, &(struct element){.key = key, .key_size = size});
  end(&question, elements);
  int error = ask(&question, rules, out, failure);
  if (!error || error == ENOENT) return true;
  return fail(failure, error, "rules", "look into %s: %s", set, strerror(error));
}

bool rules_has_set(struct rules *rules, const char *name, bool *found, struct failure *failure) {
  struct change question = {0};
  put_message(&question, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSET, NLM_F_ACK, NFPROTO_INET, 0);
  put_text(&question, NFTA_SET_TABLE, TABLE_NAME);
  put_text(&question, NFTA_SET_NAME, name);
  int error = ask(&question, rules, NULL, failure);
  *found = error == 0;
  if (!error || error == ENOENT) return true;
  return fail(failure, error, "rules", "look for %s: %s", name, strerror(error));
}

bool connections_forget(struct rules *rules, uint32_t bits, uint32_t mask, struct failure *failure) {
  struct change request = {0};
  put_message(&request, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, AF_UNSPEC, 0);
  put_u32(&request, CTA_MARK, bits);
  put_u32(&request, CTA_MARK_MASK, mask);
  int error = ask(&request, rules, NULL, failure);
  return !error || fail(failure, error, "connections", "forget a sandbox's: %s", strerror(error));
}
