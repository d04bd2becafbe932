/* Generated from packages/server/src/core/network/reserved.ts by "npm run gen". Do not edit. */
#ifndef CAISSON_RESERVED_GEN_H
#define CAISSON_RESERVED_GEN_H

static const char *const RESERVED4[] = {
    "0.0.0.0/8", /* address of this network */
    "10.0.0.0/8", /* private address */
    "100.64.0.0/10", /* carrier-grade NAT address */
    "127.0.0.0/8", /* loopback address */
    "168.63.129.16/32", /* metadata service */
    "169.254.0.0/16", /* link-local address */
    "172.16.0.0/12", /* private address */
    "192.0.0.0/24", /* reserved address */
    "192.0.2.0/24", /* documentation address */
    "192.88.99.0/24", /* 6to4 relay address */
    "192.168.0.0/16", /* private address */
    "198.18.0.0/15", /* benchmark address */
    "198.51.100.0/24", /* documentation address */
    "203.0.113.0/24", /* documentation address */
    "224.0.0.0/4", /* multicast address */
    "240.0.0.0/4", /* reserved address */
};

static const char *const RESERVED6[] = {
    "::/3", /* reserved address */
    "2001::/23", /* reserved address */
    "2001:db8::/32", /* documentation address */
    "2002::/16", /* 6to4 address */
    "3fff::/20", /* documentation address */
    "4000::/2", /* reserved address */
    "8000::/1", /* reserved address */
};

static const char *const METADATA4[] = {
    "100.100.100.200", /* metadata service */
    "168.63.129.16", /* metadata service */
    "169.254.169.254", /* metadata service */
    "169.254.170.2", /* metadata service */
    "169.254.170.23", /* metadata service */
    "169.254.0.23", /* metadata service */
    "192.0.0.192", /* metadata service */
};

static const char *const METADATA6[] = {
    "fd00:ec2::23", /* metadata service */
    "fd00:ec2::254", /* metadata service */
    "fd20:ce::254", /* metadata service */
};

#endif
