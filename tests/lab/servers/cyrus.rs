//! Cyrus IMAP: every mail by LMTP, and announced by a daemon of its own within milliseconds.

use super::super::dovecot::{User, free_port};
use super::super::lmtp;
use super::super::process::{Owner, kept, output_of, require, spawn_kept};
use super::{Children, MailServer};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Server {
    // Ended before its folder is removed.
    _children: Children,
    folder: TempDir,
    user: User,
    /// Plain text, TLS, LMTP.
    ports: [u16; 3],
}

pub(super) fn start(user: User) -> Box<dyn MailServer> {
    let folder = tempfile::Builder::new()
        .prefix("fetch-token-cyrus-")
        .tempdir()
        .expect("a temp directory");
    let path = folder.path();
    super::copy(&super::part("cyrus"), &path.join("parts"));
    // idled binds a socket there and does not make the folder.
    for name in ["conf/socket", "conf/lock", "conf/proc", "spool", "sock"] {
        fs::create_dir_all(path.join(name)).expect("make a folder");
    }
    super::write_certificates(path);
    let ports = [(); 3].map(|()| free_port());
    write_config(path, ports);
    set_password(path, user);
    hand_over(path);

    let output = |name: &str| File::create(path.join(name)).expect("make an output file");
    let mut command = kept(
        &path.join("parts/usr/lib/cyrus/bin/master"),
        Some(Owner::get()),
    );
    // When it ends, it sends SIGTERM to its whole process group.
    command
        .process_group(0)
        .arg("-D")
        .arg("-C")
        .arg(path.join("imapd.conf"))
        .arg("-M")
        .arg(path.join("cyrus.conf"))
        .arg("-p")
        .arg(path.join("conf/master.pid"))
        .env("LD_LIBRARY_PATH", libraries(path))
        .current_dir(path)
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"));
    let mut master = spawn_kept(command).expect("start Cyrus");
    super::wait_for_greeting(ports[0], &mut master, || log(path));
    Box::new(Server {
        _children: Children(vec![master]),
        folder,
        user,
        ports,
    })
}

/// Where the unpacked libraries lie.
fn libraries(folder: &Path) -> PathBuf {
    let machine = format!("parts/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    folder.join(machine)
}

fn log(folder: &Path) -> String {
    ["stdout", "stderr"]
        .map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default())
        .concat()
}

fn write_config(folder: &Path, [imap, imaps, lmtp]: [u16; 3]) {
    let at = folder.display();
    let mut settings = format!("cyrus_user: {}\n", Owner::get().user);
    for (key, name) in [
        ("configdirectory", "conf"),
        ("partition-default", "spool"),
        ("proc_path", "conf/proc"),
        ("mboxname_lockpath", "conf/lock"),
        ("lmtpsocket", "sock/lmtp"),
        ("idlesocket", "sock/idle"),
        ("notifysocket", "sock/notify"),
        ("sasl_sasldb_path", "passwords"),
        ("tls_server_cert", "server.pem"),
        ("tls_server_key", "server.key"),
    ] {
        writeln!(settings, "{key}: {at}/{name}").expect("write into a String");
    }
    settings.push_str(
        "defaultpartition: default\n\
         sasl_pwcheck_method: auxprop\n\
         sasl_auxprop_plugin: sasldb\n\
         sasl_mech_list: PLAIN LOGIN\n\
         allowplaintext: yes\n\
         unixhierarchysep: yes\n\
         virtdomains: userid\n\
         defaultdomain: lab.example\n\
         autocreate_quota: 0\n\
         autocreate_post: yes\n\
         search_engine: none\n",
    );
    fs::write(folder.join("imapd.conf"), settings).expect("write imapd.conf");
    let run = |program: &str| format!("{at}/parts/usr/lib/cyrus/bin/{program} -C {at}/imapd.conf");
    let services = format!(
        "START {{\n recover cmd=\"{} -r\"\n}}\n\
         SERVICES {{\n\
         imap cmd=\"{imapd} -U 30\" listen=\"127.0.0.1:{imap}\" prefork=1\n\
         imaps cmd=\"{imapd} -s -U 30\" listen=\"127.0.0.1:{imaps}\" prefork=0\n\
         lmtp cmd=\"{} -a\" listen=\"127.0.0.1:{lmtp}\" prefork=0\n}}\n\
         DAEMON {{\n idled cmd=\"{}\"\n}}\n",
        run("ctl_cyrusdb"),
        run("lmtpd"),
        run("idled"),
        imapd = run("imapd"),
    );
    fs::write(folder.join("cyrus.conf"), services).expect("write cyrus.conf");
}

/// Into a database of SASL's own; the login name is the whole address.
fn set_password(folder: &Path, user: User) {
    let (name, realm) = user.name.split_once('@').expect("an address");
    let mut setting = Command::new(folder.join("parts/usr/sbin/saslpasswd2"))
        .args(["-p", "-c", "-u", realm, "-f"])
        .arg(folder.join("passwords"))
        .arg(name)
        .env("LD_LIBRARY_PATH", libraries(folder))
        .stdin(Stdio::piped())
        .spawn()
        .expect("run saslpasswd2");
    setting
        .stdin
        .take()
        .expect("its input")
        .write_all(user.password.as_bytes())
        .expect("say the password");
    assert!(setting.wait().expect("its end").success(), "saslpasswd2");
}

/// Everything but the programs belongs to whom the server runs as.
fn hand_over(folder: &Path) {
    let owner = Owner::get();
    if !owner.changed {
        return;
    }
    for entry in fs::read_dir(folder).expect("list the folder").flatten() {
        if entry.file_name() != "parts" {
            output_of(
                Command::new(require("chown", "coreutils"))
                    .args(["-R", &format!("{}:{}", owner.uid, owner.gid)])
                    .arg(entry.path()),
            );
        }
    }
    chown(folder, Some(owner.uid), Some(owner.gid)).expect("hand over the folder");
}

impl MailServer for Server {
    fn version(&self) -> String {
        let file = self.folder.path().join("parts/version");
        fs::read_to_string(file)
            .expect("its version")
            .trim()
            .to_owned()
    }

    fn user(&self) -> User {
        self.user
    }

    fn plain_port(&self) -> u16 {
        self.ports[0]
    }

    fn secure(&self) -> (u16, &'static str) {
        (self.ports[1], "implicit")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn log(&self) -> String {
        log(self.folder.path())
    }

    fn deliver(&self, mail: &[u8]) {
        lmtp::deliver(self.ports[2], self.user.name, mail, || self.log());
    }
}
