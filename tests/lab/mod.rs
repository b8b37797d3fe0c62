//! The test lab: real programs, started by the tests themselves and stopped again.
//!
//! * [`Ca`]: a throwaway certificate authority, made by the `openssl` program;
//! * [`Dovecot`]: a mail server in a temp directory on free loopback ports, and [`Maildir`], the way mail gets in;
//!   [`Mbox`], the way very many mails do;
//! * [`MailServer`]: what the other mail servers have in common with Dovecot, each in a file of `servers/`;
//! * [`Peer`]: an IMAP client that shares no code with ours, to see what the server holds;
//! * [`Front`]: a TLS listener before Dovecot that hides capabilities and writes down what went over the wire;
//! * [`Faults`]: a proxy before Dovecot that cuts, stalls, loses, delays, slows and refuses;
//! * [`Wire`]: a line before Dovecot that counts round trips and octets, and can be long;
//! * [`Hostile`]: a mail server that never behaves;
//! * [`Scripted`]: a mail server that sticks to a script, for what Dovecot never does;
//! * [`in_a_network_of_its_own`]: a network namespace whose link goes down and up;
//! * [`Disk`]: a small disk that can be filled, and [`Clock`], a wall clock that can be turned;
//! * [`Pass`]: a password store with a key of its own, and [`recipe`], what a page of `docs/` says;
//! * [`SecretService`]: gnome-keyring on a message bus of its own, or another [`Provider`] of it, whose prompts a
//!   [`Display`] shows to nobody; [`Desk`], one of them without a mailbox;
//! * [`SoapLogin`]: a stand-in that lets in who sends password and token;
//! * [`Ground`]: many cases side by side on one server, and [`Subject`], how the program is run;
//! * [`Program`]: the built binary in a clean environment, with a deadline; [`Trace`], what it asks of the system;
//! * [`Daemon`]: `fetch-token daemon` on a stage, armed; [`Resident`], one that is killed and started again;
//! * [`Talk`]: a client of the daemon's socket, and [`rust_example`], a program of `examples/`, built;
//! * [`Deliveries`]: what was delivered, and the oracle that judges what became of it;
//! * [`TokenMail`]: the mail all of this is about, and [`Signer`], which signs it as Salesforce does;
//! * [`Mta`]: Exim, which takes mail by SMTP and hands it to Dovecot;
//! * [`Salesforce`]: a stand-in for its login and reset pages, which mails through that;
//! * [`AuthorizationServer`]: a certified OAuth 2.0 server, and a person with a browser;
//! * [`Dns`]: a name server that tells the truth, nothing, or lies;
//! * [`doctor`]: what `fetch-token doctor` says of each link;
//! * [`Web`]: a web server that has one page;
//! * [`Screen`]: a terminal, and a person before it.
//!
//! Nothing here is skipped when a part is missing: the test fails and names the Debian package. Everything works
//! as root (the servers then run as `nobody`) and as anybody else, and every process is ended by its own id.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary includes this module and uses only a part of it"
)]

mod authorization_server;
mod ca;
mod clock;
mod command;
mod daemon;
mod deliveries;
mod desk;
mod disk;
mod display;
mod dns;
pub mod doctor;
mod dovecot;
mod example;
mod faults;
mod front;
mod ground;
mod home;
mod hostile;
mod keychains;
mod lmtp;
mod mail;
mod maildir;
mod mbox;
mod mta;
mod namespace;
mod network;
mod pass;
mod peer;
mod process;
mod random;
mod recipes;
mod resident;
mod salesforce;
mod scripted;
mod secret_service;
mod servers;
mod signer;
mod soap_login;
mod stage;
mod subject;
mod talk;
mod terminal;
mod trace;
mod web;
mod wire;

pub use authorization_server::{AuthorizationServer, Mood};
pub use ca::{Ca, Identity};
pub use clock::Clock;
pub use command::{Output, Program, Running};
pub use daemon::Daemon;
pub use deliveries::{Deliveries, kept};
pub use desk::{Desk, Installation, each_provider, patient, sentence};
pub use disk::{Disk, in_mounts_of_its_own};
pub use display::Display;
pub use dns::{Dns, Manner};
pub use dovecot::{
    Certificate, Dovecot, INTEGRATION, Options, QUOTES, RawLog, UMLAUT, User, account, capability,
    free_port,
};
pub use example::rust_example;
pub use faults::{Direction, End, Fault, Faults, Place, Plan, THREAD as FAULTS_THREAD, Traffic};
pub use front::{Conversation, Front, Turn};
pub use ground::{Case, Ground, Way, each_in_parallel};
pub use home::Home;
pub use hostile::Hostile;
pub use keychains::Provider;
pub use mail::{TokenMail, other_mail, random_token};
pub use maildir::{Maildir, Staged};
pub use mbox::Mbox;
pub use mta::Mta;
pub use network::{Link, in_a_network_of_its_own};
pub use pass::Pass;
pub use peer::{MailboxState, Peer};
pub use process::{eventually, require, signal};
pub use random::Random;
pub use recipes::{recipe, recipes};
pub use resident::{Event, Fate, Memory, Resident};
pub use salesforce::{Code, Pages, Person, Salesforce, npm_folder};
pub use scripted::{GREETING, Line, Say, Scripted, Security, remembering, silent, sound};
pub use secret_service::SecretService;
pub use servers::{Cell, MailServer, SERVERS, Start, Table};
pub use signer::{SELECTOR, Signer};
pub use soap_login::{ACCOUNT_NAME, Login, SoapLogin};
pub use stage::{SERVICE, Stage, USERNAME, keys};
pub use subject::{Subject, Watching};
pub use talk::Talk;
pub use terminal::Screen;
pub use trace::{Call, Trace};
pub use web::Web;
pub use wire::{Carried, Wire};
