//! A network of a test's own: a namespace with nothing but a loopback link, which can be taken down and up without
//! anybody else's noticing.

use super::namespace::in_a_namespace;
use super::process::{output_of, require};
use std::process::Command;

/// The only link there.
pub struct Link(&'static str);

impl Link {
    /// From now on nothing gets through, and nobody is told.
    pub fn down(&self) {
        self.set("down");
    }

    /// What TCP has not given up goes on.
    pub fn up(&self) {
        self.set("up");
    }

    /// Anybody may listen on the ports below 1024 from now on, where mail servers usually are.
    #[expect(
        clippy::unused_self,
        reason = "only whoever has a network of its own may do this"
    )]
    pub fn opens_the_usual_ports(&self) {
        std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").expect("a setting");
    }

    fn set(&self, state: &str) {
        output_of(Command::new(require("ip", "iproute2")).args(["link", "set", self.0, state]));
    }
}

/// Runs the test of this name in a network of its own, where this machine lets it make one.
pub fn in_a_network_of_its_own(test: &str, body: impl FnOnce(&Link)) {
    in_a_namespace("--net", test, || {
        let link = Link("lo");
        link.up();
        body(&link);
    });
}
