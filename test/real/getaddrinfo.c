/*
 * What a program in a container asks its C library: getaddrinfo for AF_UNSPEC, AF_INET or AF_INET6, one line per
 * name: `NAME ADDRESS…` sorted as the library gave them, or `NAME error EAI_…`. Built with glibc and with musl.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *word(int error) {
  switch (error) {
  case EAI_NONAME: return "EAI_NONAME";
  case EAI_AGAIN: return "EAI_AGAIN";
  case EAI_FAIL: return "EAI_FAIL";
#ifdef EAI_NODATA
  case EAI_NODATA: return "EAI_NODATA";
#endif
  default: return gai_strerror(error);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: getaddrinfo unspec|inet|inet6 NAME...\n");
    return 2;
  }
  int family = strcmp(argv[1], "inet") == 0 ? AF_INET : strcmp(argv[1], "inet6") == 0 ? AF_INET6 : AF_UNSPEC;
  for (int index = 2; index < argc; index++) {
    struct addrinfo hints, *list = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(argv[index], NULL, &hints, &list);
    printf("%s", argv[index]);
    if (error != 0) printf(" error %s", word(error));
    for (struct addrinfo *one = list; error == 0 && one != NULL; one = one->ai_next) {
      char text[INET6_ADDRSTRLEN];
      const void *address = one->ai_family == AF_INET6
                                ? (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr
                                : (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr;
      printf(" %s", inet_ntop(one->ai_family, address, text, sizeof text));
    }
    printf("\n");
    if (error == 0) freeaddrinfo(list);
  }
  return 0;
}
