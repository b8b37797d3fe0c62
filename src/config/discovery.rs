//! `[discovery]` in the configuration: where `login` looks for a mailbox's server.

use std::net::SocketAddr;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{NO_SERVER, server};
use crate::account::discovery::autoconfig;

/// Where servers are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The DNS server that is asked; `None` is the system's.
    pub resolver: Option<SocketAddr>,
    /// The places where a domain's servers are described.
    pub autoconfig: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    resolver: Option<Spanned<String>>,
    autoconfig: Option<Spanned<Vec<String>>>,
}

impl Entry {
    pub(super) fn check(self) -> Result<Discovery, (Range<usize>, String)> {
        let resolver = match self.resolver {
            None => None,
            Some(text) => {
                let address = server(text.get_ref());
                Some(address.ok_or_else(|| (text.span(), NO_SERVER.to_owned()))?)
            }
        };
        let autoconfig = match self.autoconfig {
            None => autoconfig::PLACES.map(str::to_owned).to_vec(),
            Some(places) => {
                let span = places.span();
                let places = places.into_inner();
                if !places.iter().all(|place| place.starts_with("https://")) {
                    let what = "these are URLs that begin with https://, in which {domain} and {address} stand for \
                                those of the mailbox";
                    return Err((span, what.to_owned()));
                }
                places
            }
        };
        Ok(Discovery {
            resolver,
            autoconfig,
        })
    }
}
