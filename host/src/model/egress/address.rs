//! Addresses that are not the public internet's, however they are written.
//!
//! IPv4 is public unless the registry of special-purpose addresses (RFC 6890) or a cloud's habits
//! say otherwise. IPv6 is the other way round: only global unicast, `2000::/3`, is public, without
//! the special parts of it. An IPv4 address wrapped in an IPv6 one is judged as what it wraps.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses, and what an address of it is.
type Block<A> = (A, u32, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}
const fn v6(a: u16, b: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)
}

const RESERVED_V4: [Block<Ipv4Addr>; 17] = [
    (v4(0, 0, 0, 0), 8, "an unspecified address"),
    (v4(10, 0, 0, 0), 8, "a private address"),
    (v4(100, 64, 0, 0), 10, "a carrier's private address"),
    (v4(127, 0, 0, 0), 8, "a loopback address"),
    (v4(168, 63, 129, 16), 32, "a cloud host's address"),
    (v4(169, 254, 0, 0), 16, "a link-local address"),
    (v4(172, 16, 0, 0), 12, "a private address"),
    (v4(192, 0, 0, 0), 24, "a protocol's own address"),
    (v4(192, 0, 2, 0), 24, "a documentation address"),
    (v4(192, 88, 99, 0), 24, "a 6to4 relay's address"),
    (v4(192, 168, 0, 0), 16, "a private address"),
    (v4(198, 18, 0, 0), 15, "a benchmarking address"),
    (v4(198, 51, 100, 0), 24, "a documentation address"),
    (v4(203, 0, 113, 0), 24, "a documentation address"),
    (v4(224, 0, 0, 0), 4, "a multicast address"),
    (v4(255, 255, 255, 255), 32, "the broadcast address"),
    (v4(240, 0, 0, 0), 4, "a reserved address"),
];

const RESERVED_V6: [Block<Ipv6Addr>; 10] = [
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (v6(0xfc00, 0), 7, "a private address"),
    (v6(0xfe80, 0), 10, "a link-local address"),
    (v6(0xff00, 0), 8, "a multicast address"),
    (v6(0x2001, 0), 32, "a Teredo address"),
    (v6(0x2001, 0xdb8), 32, "a documentation address"),
    (v6(0x2001, 0), 23, "a protocol's own address"),
    (v6(0x3fff, 0), 20, "a documentation address"),
    (v6(0x5f00, 0), 16, "a segment's identifier"),
];

/// What an address is that a public host does not have; none when it is a public one.
pub fn reserved(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => reserved_v4(ip),
        IpAddr::V6(ip) => reserved_v6(ip),
    }
}

fn reserved_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let within = |(base, bits, _): &&Block<Ipv4Addr>| {
        (ip.to_bits() ^ base.to_bits()).leading_zeros() >= *bits
    };
    RESERVED_V4.iter().find(within).map(|(.., is)| *is)
}

fn reserved_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let within = |(base, bits, _): &&Block<Ipv6Addr>| {
        (ip.to_bits() ^ base.to_bits()).leading_zeros() >= *bits
    };
    if let Some((.., is)) = RESERVED_V6.iter().find(within) {
        return Some(is);
    }
    let mut wrapped = wrapped(ip).peekable();
    if wrapped.peek().is_none() && ip.segments()[0] >> 13 != 0b001 {
        return Some("a reserved address");
    }
    wrapped.find_map(reserved_v4)
}

/// The IPv4 addresses within an IPv6 one that stands for them: its prefix may wrap one, and its
/// interface another. What is not listed and wraps one too (IPv4-compatible, IPv4-translated, a
/// network's own NAT64) lies outside of `2000::/3`.
fn wrapped(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let by_prefix = match ip.segments() {
        // Mapped, RFC 4291.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        // NAT64, RFC 6052: what a network without IPv4 resolves public hosts to.
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4, RFC 3056.
        | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    };
    let by_interface = match ip.segments() {
        // ISATAP, RFC 5214, below any prefix, one that wraps an address itself included.
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(join(high, low)),
        _ => None,
    };
    by_prefix.into_iter().chain(by_interface)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_public_internet_and_the_rest() {
        for (text, is) in [
            // The edges of each block, and the neighbours outside of it.
            ("0.0.0.0", "an unspecified address"),
            ("0.255.255.255", "an unspecified address"),
            ("1.0.0.0", ""),
            ("9.255.255.255", ""),
            ("10.0.0.0", "a private address"),
            ("10.255.255.255", "a private address"),
            ("11.0.0.0", ""),
            ("100.63.255.255", ""),
            ("100.64.0.0", "a carrier's private address"),
            ("100.100.100.200", "a carrier's private address"),
            ("100.127.255.255", "a carrier's private address"),
            ("100.128.0.0", ""),
            ("126.255.255.255", ""),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.255", "a loopback address"),
            ("128.0.0.0", ""),
            ("168.63.129.15", ""),
            ("168.63.129.16", "a cloud host's address"),
            ("169.253.255.255", ""),
            ("169.254.169.254", "a link-local address"),
            ("169.255.0.0", ""),
            ("172.15.255.255", ""),
            ("172.16.0.0", "a private address"),
            ("172.31.255.255", "a private address"),
            ("172.32.0.0", ""),
            ("192.0.0.192", "a protocol's own address"),
            ("192.0.1.0", ""),
            ("192.0.2.1", "a documentation address"),
            ("192.88.99.1", "a 6to4 relay's address"),
            ("192.167.255.255", ""),
            ("192.168.0.0", "a private address"),
            ("192.168.255.255", "a private address"),
            ("192.169.0.0", ""),
            ("198.17.255.255", ""),
            ("198.18.0.0", "a benchmarking address"),
            ("198.19.255.255", "a benchmarking address"),
            ("198.20.0.0", ""),
            ("198.51.100.7", "a documentation address"),
            ("203.0.113.7", "a documentation address"),
            ("223.255.255.255", ""),
            ("224.0.0.1", "a multicast address"),
            ("239.255.255.255", "a multicast address"),
            ("240.0.0.0", "a reserved address"),
            ("255.255.255.254", "a reserved address"),
            ("255.255.255.255", "the broadcast address"),
            ("8.8.8.8", ""),
            ("93.184.215.14", ""),
            ("::", "an unspecified address"),
            ("::1", "a loopback address"),
            ("::2", "a reserved address"),
            ("fc00::1", "a private address"),
            ("fd00:ec2::254", "a private address"),
            ("fe80::1", "a link-local address"),
            ("febf::1", "a link-local address"),
            ("fec0::1", "a reserved address"),
            ("ff02::1", "a multicast address"),
            ("100::1", "a reserved address"),
            ("1fff::1", "a reserved address"),
            ("2001::1", "a Teredo address"),
            ("2001:2::1", "a protocol's own address"),
            ("2001:20::1", "a protocol's own address"),
            ("2001:db8::1", "a documentation address"),
            ("2001:200::1", ""),
            ("2606:4700::6810:84e5", ""),
            ("2a00:1450:4001::200e", ""),
            ("3fff:0fff::1", "a documentation address"),
            ("3fff:1000::1", ""),
            ("4000::1", "a reserved address"),
            ("5f00::1", "a segment's identifier"),
            // Wrapped.
            ("::ffff:8.8.8.8", ""),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("::ffff:169.254.169.254", "a link-local address"),
            ("::ffff:0:8.8.8.8", "a reserved address"),
            ("::ffff:0:127.0.0.1", "a reserved address"),
            ("::8.8.8.8", "a reserved address"),
            ("::127.0.0.1", "a reserved address"),
            ("64:ff9b::8.8.8.8", ""),
            ("64:ff9b::10.0.0.1", "a private address"),
            ("64:ff9b:1::8.8.8.8", "a reserved address"),
            ("2002:808:808::1", ""),
            ("2002:7f00:1::1", "a loopback address"),
            ("2002:c0a8:101::1", "a private address"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "a Teredo address"),
            ("2a00::5efe:10.0.0.1", "a private address"),
            ("2a00::200:5efe:10.0.0.1", "a private address"),
            ("2a00::5efe:8.8.8.8", ""),
            // Wrapped twice.
            ("2002:808:808::5efe:10.0.0.1", "a private address"),
            ("2002:808:808::200:5efe:127.0.0.1", "a loopback address"),
            ("2002:a00:1::5efe:8.8.8.8", "a private address"),
            ("2002:808:808::5efe:8.8.8.8", ""),
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(reserved(ip).unwrap_or_default(), is, "{text}");
        }
    }

    /// An address of a block that is not public.
    fn forbidden() -> impl Strategy<Value = Ipv4Addr> {
        (0..RESERVED_V4.len(), any::<u32>()).prop_map(|(i, random)| {
            let (base, bits, _) = RESERVED_V4[i];
            let host_bits = u32::MAX.checked_shr(bits).unwrap_or(0);
            Ipv4Addr::from_bits(base.to_bits() | (random & host_bits))
        })
    }

    proptest! {
        #[test]
        fn no_wrapping_hides_an_address(
            ip in forbidden(),
            prefix in prop_oneof![Just(0x2002_u16), 0x2000_u16..0x4000],
            rest in any::<[u16; 4]>(),
        ) {
            prop_assert!(reserved(ip.into()).is_some());
            let [a, b, c, d] = ip.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let [p, q, r, s] = rest;
            for wrapped in [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0, 0, 0, 0, 0, 0, high, low],
                [0, 0, 0, 0, 0xffff, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 1, p, q, r, high, low],
                [0x2002, high, low, p, q, r, s, 1],
                // Teredo wraps the server's address, and the client's with all bits inverted.
                [0x2001, 0, high, low, p, q, r, s],
                [0x2001, 0, p, q, r, s, !high, !low],
                [prefix, p, q, r, 0, 0x5efe, high, low],
                [prefix, p, q, r, 0x200, 0x5efe, high, low],
            ] {
                let wrapped = Ipv6Addr::from(wrapped);
                prop_assert!(reserved(wrapped.into()).is_some(), "{wrapped}");
            }
        }

        #[test]
        fn a_mapped_address_is_what_it_maps(bits in any::<u32>()) {
            let ip = Ipv4Addr::from_bits(bits);
            let mapped = ip.to_ipv6_mapped();
            prop_assert_eq!(reserved(mapped.into()), reserved(ip.into()));
        }
    }
}
