//! Any octets from a server, through the guard and the checked session on top of it: no panic, no abort, bounded
//! output.
#![no_main]

use fetch_token::imap::{Credentials, Proof};
use fetch_token::imap::guard::{Allowance, Guard};
use fetch_token::imap::session::Session;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncReadExt as _;


fuzz_target!(|sent: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut guard = Guard::new(sent);
        guard.allow(Allowance::SHORT);
        let mut passed = Vec::new();
        let _ = guard.read_to_end(&mut passed).await;
        assert!(passed.len() <= sent.len());

        let wire = tokio::io::join(sent, tokio::io::sink());
        if let Ok(mut session) = Session::greeted(wire).await {
            let credentials = Credentials {
                user: "user".to_owned(),
                proof: Proof::Password("password".to_owned().into()),
            };
            let _ = session.login(&credentials).await;
            let _ = session.examine("INBOX").await;
        }
    });
});
