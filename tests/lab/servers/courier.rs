//! Courier IMAP. Its paths are compiled in (`/etc/courier`, `/run/courier`), so it runs below a root of its own: what was
//! unpacked, with the machine's libraries and devices mounted where nobody else sees it. In a process namespace, so that
//! the daemon that it starts to watch files (gamin) ends with it.

use super::super::dovecot::{User, free_port};
use super::super::maildir::Maildir;
use super::super::process::{Owner, eventually, require, spawn_kept};
use super::MailServer;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Runs a program below that root: `sh -c BELOW sh ROOT PROGRAM ARGUMENT...`. Debian's settings come first, ours last.
const BELOW: &str = r#"
root=$1
shift
for part in "/usr/lib/$(uname -m)-linux-gnu" /usr/lib64; do
    [ ! -d "$part" ] || { mkdir -p "$root$part" && mount --bind "$part" "$root$part"; } || exit
done
mount --rbind /dev "$root/dev" || exit
set -a
. "$root/etc/courier/imapd"
. "$root/etc/courier/imapd-ssl"
. "$root/etc/courier/lab"
exec chroot "$root" "$@"
"#;

/// The mail's place, as Courier sees it.
const MAIL: &str = "/mail/Maildir";

/// A namespace and all that runs in it, ended at once.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    // Ended before its folder is removed; first those that ask the daemon.
    _imapd: Ended,
    _authdaemond: Ended,
    folder: TempDir,
    user: User,
    inbox: Maildir,
    port: u16,
}

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = tempfile::Builder::new()
        .prefix("fetch-token-courier-")
        .tempdir()
        .expect("a temp directory");
    let root = folder.path().join("root");
    super::copy(&super::part("courier"), &root);
    let inbox = lay_out(&root);
    let port = free_port();
    write_settings(&root, port);
    set_password(&root, user);

    let socket = root.join("run/courier/authdaemon/socket");
    let daemon = launch(
        &root,
        "authdaemon",
        &["/usr/lib/courier/courier-authlib/authdaemond"],
    );
    eventually(
        "Courier's authentication daemon",
        super::START,
        || socket.exists().then_some(()),
        || log(&root),
    );
    let mut imapd = launch(
        &root,
        "imapd",
        &[
            "/usr/sbin/couriertcpd",
            "-address=127.0.0.1",
            "-maxprocs=40",
            "-maxperip=40",
            "-nodnslookup",
            "-noidentlookup",
            &port.to_string(),
            "/usr/lib/courier/courier/imaplogin",
            "/usr/bin/imapd",
            "Maildir",
        ],
    );
    super::wait_for_greeting(port, &mut imapd.0, || log(&root));
    let server = Server {
        _imapd: imapd,
        _authdaemond: daemon,
        folder,
        user,
        inbox,
        port,
    };
    // As whoever reads this mailbox has done: until a folder was selected once, Courier gives it another UIDVALIDITY
    // each time that it is examined.
    server.peer().command("SELECT INBOX");
    Box::new(server)
}

fn lay_out(root: &Path) -> Maildir {
    for name in ["dev", "tmp", "run/courier/authdaemon", "mail"] {
        fs::create_dir_all(root.join(name)).expect("make a folder");
    }
    for name in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).expect("make a link");
    }
    // Where the machine's own libraries are mounted, those that were unpacked would be hidden.
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    for library in fs::read_dir(root.join(machine))
        .into_iter()
        .flatten()
        .flatten()
    {
        let place = root.join("usr/lib").join(library.file_name());
        fs::rename(library.path(), place).expect("move a library");
    }
    Owner::get().take(&root.join("mail"));
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))
        .expect("let everybody write to /tmp");
    super::write_certificates(root);
    Maildir::at(&root.join(MAIL.trim_start_matches('/')))
}

fn write_settings(root: &Path, port: u16) {
    let (uid, gid) = owner();
    for (name, text) in [
        (
            "etc/passwd",
            format!("root:x:0:0::/:/bin/sh\ncourier:x:{uid}:{gid}::/:/bin/sh\n"),
        ),
        ("etc/group", format!("root:x:0:\ncourier:x:{gid}:\n")),
        (
            "etc/courier/authdaemonrc",
            "authmodulelist=\"authuserdb\"\nauthmodulelistorig=\"authuserdb\"\ndaemons=2\n"
                .to_owned(),
        ),
        (
            "etc/courier/lab",
            // IMAP_IDLE_TIMEOUT: how often it looks for new mail during IDLE, in seconds; 60 is Debian's.
            // GAM_CLIENT_ID: no other server's gamin is asked, which sees another root.
            format!(
                "IMAP_CAPABILITY=\"$IMAP_CAPABILITY AUTH=PLAIN\"\n\
             IMAP_IDLE_TIMEOUT=1\n\
             GAM_CLIENT_ID={port}\n\
             IMAPDSTARTTLS=YES\n\
             IMAP_STARTTLS=YES\n\
             IMAP_TLS_REQUIRED=0\n\
             TLS_CERTFILE=/both.pem\n\
             TLS_TRUSTCERTS=/ca.pem\n\
             TLS_CACHEFILE=\n\
             COURIERTLS=/usr/bin/couriertls\n\
             MAILDIRPATH=Maildir\n"
            ),
        ),
    ] {
        fs::write(root.join(name), text).expect("write a setting");
    }
}

/// Whom the mail belongs to, as seen below the root: where the tests do not run as root, the one who runs them is root
/// down there.
fn owner() -> (u32, u32) {
    let owner = Owner::get();
    if owner.changed {
        (owner.uid, owner.gid)
    } else {
        (0, 0)
    }
}

/// Both databases that `makeuserdb` writes, which needs Perl: what anybody may know of the user, and the password.
fn set_password(root: &Path, user: User) {
    let (uid, gid) = owner();
    let hash = base64::prelude::BASE64_STANDARD.encode(Sha256::digest(user.password));
    for (name, fields) in [
        (
            "userdb",
            format!("uid={uid}|gid={gid}|home=/mail|mail={MAIL}"),
        ),
        ("userdbshadow", format!("systempw={{SHA256}}{hash}")),
    ] {
        let mut command = below(root);
        command.args([
            "/usr/lib/courier/courier-authlib/makedatprog",
            "-",
            &format!("/etc/courier/{name}.tmp"),
            &format!("/etc/courier/{name}.dat"),
        ]);
        let mut making = spawn_kept({
            command.stdin(Stdio::piped());
            command
        })
        .expect("run makedatprog");
        let mut input = making.stdin.take().expect("its input");
        write!(input, "{}\t{fields}\n.\n", user.name).expect("say the user");
        drop(input);
        assert!(making.wait().expect("its end").success(), "makedatprog");
    }
}

/// A program below the root, still to be named.
fn below(root: &Path) -> Command {
    let mut command = Command::new(require("setpriv", "util-linux"));
    // Not TERM, which `unshare` does not heed while it waits for its child.
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(require("unshare", "util-linux"))
        .args(["--mount", "--pid", "--fork", "--kill-child"]);
    if !Owner::get().changed {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", "/bin/sh", "-c", BELOW, "sh"]).arg(root);
    command
}

fn launch(root: &Path, name: &str, program: &[&str]) -> Ended {
    let output = File::create(root.join(format!("{name}.log"))).expect("make an output file");
    let mut command = below(root);
    command
        .args(program)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("the same file"))
        .stderr(output);
    Ended(spawn_kept(command).expect("start a part of Courier"))
}

fn log(root: &Path) -> String {
    ["authdaemon.log", "imapd.log"]
        .map(|name| fs::read_to_string(root.join(name)).unwrap_or_default())
        .concat()
}

impl MailServer for Server {
    fn version(&self) -> String {
        let file = self.folder.path().join("root/version");
        fs::read_to_string(file)
            .expect("its version")
            .trim()
            .to_owned()
    }

    fn user(&self) -> User {
        self.user
    }

    fn plain_port(&self) -> u16 {
        self.port
    }

    fn secure(&self) -> (u16, &'static str) {
        (self.port, "starttls")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("root/ca.pem")
    }

    fn log(&self) -> String {
        log(&self.folder.path().join("root"))
    }

    fn deliver(&self, mail: &[u8]) {
        // In its Maildir lines end in LF alone, or it serves them with two CR.
        let text = String::from_utf8_lossy(mail).replace("\r\n", "\n");
        self.inbox.deliver(text.as_bytes());
    }

    /// All folders lie below INBOX.
    fn folder(&self, name: &str) -> String {
        format!("INBOX.{name}")
    }
}
