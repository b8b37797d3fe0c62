//! What a report of a bug needs, with everything in it masked that is somebody's.
//!
//! [`Gathered`] is what was found, [`Gathered::masked`] is pure: the same findings give the same report. [`Mask`] has no
//! faith in names of members: whatever the configuration, the ledger, the daemon or the system calls something is looked
//! for in every text, and so is whatever looks like an address, a host, a path, an IP address or a secret.

mod configuration;
pub mod machine;
mod markdown;
mod mask;
mod pattern;
mod public;

pub use configuration::Configuration;
pub use mask::{Mask, What};

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What is said at the top.
pub const NOTE: &str = "Addresses, usernames, hosts, domains, IP addresses, paths, folders, commands and whatever looks like \
                        a secret are masked, the same by the same name. Words of servers and of other programs may still \
                        say something of you: look it over before you show it to anybody.";

/// What was found on this machine, unmasked.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// The program, as it was built.
    pub program: Value,
    /// The machine.
    pub machine: Value,
    /// The text of the configuration; the error where there is none that can be read.
    pub configuration: Option<Result<String, String>>,
    /// Each check of the doctor, as `doctor --json` has it.
    pub checks: Vec<Value>,
    /// Each account of the daemon, as `status --json` has it; why not, where it does not tell.
    pub daemon: Option<Result<Vec<Value>, String>>,
    /// What the ledger holds, in numbers; why not, where it cannot be read.
    pub ledger: Option<Result<Value, String>>,
    /// The user's home.
    pub home: Option<String>,
    /// What else is somebody's: names in the ledger, of this machine, of its user.
    pub names: Vec<(What, String)>,
}

/// The same, masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How many values of each kind are masked.
    pub masks: BTreeMap<&'static str, usize>,
    /// The program, as it was built.
    pub program: Value,
    /// The machine.
    pub machine: Value,
    /// The configuration; the error where there is none that can be read.
    pub configuration: Option<Result<Configuration, String>>,
    /// Each check of the doctor.
    pub checks: Vec<Value>,
    /// Each account of the daemon; why not, where it does not tell.
    pub daemon: Option<Result<Vec<Value>, String>>,
    /// What the ledger holds; why not, where it cannot be read.
    pub ledger: Option<Result<Value, String>>,
}

impl Gathered {
    /// Masks all of it.
    #[must_use]
    pub fn masked(&self) -> Report {
        let mut mask = Mask::new();
        if let Some(home) = &self.home {
            mask.learn_home(home);
        }
        // The configuration's first: what it names first has the lowest numbers.
        let mut names = match &self.configuration {
            Some(Ok(text)) => configuration::names(text).unwrap_or_default(),
            _ => Vec::new(),
        };
        names.extend(self.names.iter().cloned());
        self.checks
            .iter()
            .for_each(|check| of_check(check, &mut names));
        for account in self.daemon.iter().flatten().flatten() {
            of_status(account, &mut names);
        }
        mask.learn(names);
        let mask = &mut mask;
        let configuration = self.configuration.as_ref().map(|read| match read {
            Ok(text) => configuration::masked(text, mask)
                .ok_or_else(|| "not shown: it is no TOML; the doctor says where".to_owned()),
            Err(why) => Err(mask.text(why)),
        });
        let daemon = self.daemon.as_ref().map(|told| match told {
            Ok(accounts) => Ok(accounts.iter().map(|account| mask.json(account)).collect()),
            Err(why) => Err(mask.text(why)),
        });
        let ledger = self.ledger.as_ref().map(|read| match read {
            Ok(numbers) => Ok(mask.json(numbers)),
            Err(why) => Err(mask.text(why)),
        });
        Report {
            program: mask.json(&self.program),
            machine: mask.json(&self.machine),
            configuration,
            checks: self.checks.iter().map(|check| mask.json(check)).collect(),
            daemon,
            ledger,
            masks: mask.counts().clone(),
        }
    }
}

/// What the server called something, which stands in the sentences as well.
fn of_check(check: &Value, names: &mut Vec<(What, String)>) {
    let facts = &check["facts"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    names.extend(text(&check["account"]).map(|address| (What::Address, address)));
    let hosts = facts["names"].as_array().into_iter().flatten();
    names.extend(hosts.filter_map(text).map(|host| (What::Host, host)));
    names.extend(text(&facts["issuer"]).map(|issuer| (What::Other("issuer"), issuer)));
    names.extend(text(&facts["folder"]).map(|folder| (What::Folder, folder)));
    for path in ["file", "unit", "configuration"] {
        names.extend(text(&facts[path]).map(|path| (What::Path, path)));
    }
}

fn of_status(account: &Value, names: &mut Vec<(What, String)>) {
    for address in [&account["account"], &account["stored"]["username"]] {
        names.extend(
            address
                .as_str()
                .map(|address| (What::Address, address.to_owned())),
        );
    }
}

impl Report {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        fn or_why<T>(found: Option<&Result<T, String>>, value: impl Fn(&T) -> Value) -> Value {
            match found {
                None => Value::Null,
                Some(Ok(found)) => value(found),
                Some(Err(why)) => json!({ "error": why }),
            }
        }
        json!({
            "event": "report",
            "note": NOTE,
            "masks": self.masks,
            "program": self.program,
            "machine": self.machine,
            "configuration": or_why(self.configuration.as_ref(), |read| read.json.clone()),
            "checks": self.checks,
            "daemon": or_why(self.daemon.as_ref(), |accounts| accounts.clone().into()),
            "ledger": or_why(self.ledger.as_ref(), Value::clone),
        })
    }

    /// For people, as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }
}
