use std::future::pending;
use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::time::{sleep, timeout};

use super::{End, Job, Limits, OUTPUT, Report, Said, Talk, run};

const TOKEN: &str = "AbCdEfGh12345678IjKlMnOp";

fn limits() -> Limits {
    Limits {
        run: Duration::from_millis(300),
        to_end: Duration::from_millis(200),
        to_end_at_stop: Duration::from_millis(50),
    }
}

fn half_a_minute() -> Limits {
    Limits::of(Duration::from_secs(30))
}

async fn run_sh(script: &str, token: bool, limits: Limits) -> Report {
    let command = ["/bin/sh", "-c", script].map(str::to_owned);
    let token = token.then(|| SecretString::from(TOKEN));
    let job = Job {
        command: &command,
        variables: &[
            ("FETCH_TOKEN_FROM", Some("$(id) `id` * ;\\u{a}".to_owned())),
            ("HOME", None),
        ],
        input: token.as_ref(),
        talk: Talk::Words,
    };
    run(job, limits, pending()).await
}

/// Whether a process with the id in this file runs.
fn runs(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).expect("it wrote its id");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_hook_gets_its_variables_and_its_input_and_no_shell() {
    let script = "echo \"$FETCH_TOKEN_FROM\"; echo \"home=${HOME-none}\" >&2; cat | wc -c; exit 3";
    let limits = half_a_minute();
    let report = run_sh(script, true, limits).await;
    assert_eq!(report.said, ["$(id) `id` * ;\\u{a}", "24", "home=none"]);
    assert!(matches!(report.end, End::Exited(status) if status.code() == Some(3)));
    let report = run_sh("cat | wc -c", false, limits).await;
    assert_eq!(report.said, ["0"], "an empty input");
    let command = ["/no/such/program".to_owned()];
    let job = Job {
        command: &command,
        variables: &[],
        input: None,
        talk: Talk::Words,
    };
    let report = run(job, limits, pending()).await;
    assert!(matches!(report.end, End::Failed(_)), "{report:?}");
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended_and_so_is_all_it_started() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let child = folder.path().join("child");
    // Both are deaf to SIGTERM.
    let script = format!(
        "trap '' TERM; (trap '' TERM; sh -c 'echo $PPID' > {}; while :; do sleep 1; done) & while :; do sleep 1; done",
        child.display()
    );
    let begin = Instant::now();
    let report = run_sh(&script, false, limits()).await;
    assert!(matches!(report.end, End::TooLong), "{report:?}");
    let took = begin.elapsed();
    assert!(
        took > Duration::from_millis(500) && took < Duration::from_secs(2),
        "{took:?}"
    );
    assert!(!runs(&child), "the grandchild is gone");
}

#[tokio::test]
async fn dropping_the_run_ends_the_group() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let child = folder.path().join("child");
    let script = format!(
        "(sh -c 'echo $PPID' > {}; sleep 60) & wait",
        child.display()
    );
    let forever = half_a_minute();
    let dropped = timeout(Duration::from_millis(500), run_sh(&script, false, forever)).await;
    assert!(dropped.is_err(), "it hangs");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!runs(&child), "the grandchild is gone");
}

#[tokio::test]
async fn what_it_left_running_keeps_nobody_waiting() {
    let begin = Instant::now();
    let report = run_sh("echo done; sleep 3 &", false, half_a_minute()).await;
    assert!(matches!(report.end, End::Exited(_)));
    assert_eq!(report.said, ["done"]);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn what_is_stopped_is_ended() {
    for (script, is_ended) in [("sleep 0.02; echo done", false), ("sleep 9", true)] {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        let job = Job {
            command: &command,
            variables: &[],
            input: None,
            talk: Talk::Words,
        };
        let report = run(job, half_a_minute(), sleep(Duration::from_millis(300))).await;
        assert_eq!(matches!(report.end, End::Stopped), is_ended, "{report:?}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_as_it_is_up_to_its_limit_and_apart_from_what_is_said() {
    for (most, expected, is_cut) in [(8, "a\0b\n", false), (4, "a\0b\n", false), (2, "a\0", true)] {
        let command = ["/bin/sh", "-c", "printf 'a\\000b\\n'; echo why >&2"].map(str::to_owned);
        let job = Job {
            command: &command,
            variables: &[],
            input: None,
            talk: Talk::Answer(most),
        };
        let report = run(job, half_a_minute(), pending()).await;
        assert_eq!(*report.answer.octets, expected.as_bytes());
        assert_eq!(report.answer.is_cut, is_cut);
        assert_eq!(report.said, ["why"]);
        assert_eq!(format!("{:?}", report.answer), "Answer");
    }
}

#[tokio::test]
async fn a_token_that_it_prints_is_not_passed_on() {
    let report = run_sh(
        "t=$(cat); echo \"<$t><$t>\"; echo $t >&2",
        true,
        half_a_minute(),
    )
    .await;
    assert_eq!(report.said, ["<[the token]><[the token]>", "[the token]"]);
}

#[tokio::test]
async fn what_it_says_is_capped_and_cannot_forge_a_line() {
    let mut said = Said::of(OUTPUT);
    let text = format!("a\u{1b}[2Jb\r\n\n{TOKEN}\u{7}\n{}", "x".repeat(10 * OUTPUT));
    said.listen(Some(text.as_bytes())).await;
    let lines = said.lines(Some(TOKEN));
    assert_eq!(lines[..2], ["a\\u{1b}[2Jb", "[the token]\\u{7}"]);
    assert_eq!(lines[2].chars().count(), 501);
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn a_token_cut_in_two_by_the_cap_does_not_show_its_half() {
    for before in OUTPUT - TOKEN.len() - 2..=OUTPUT {
        // Short lines, for long ones are cut anyhow.
        let filling: String = "0123456\n".chars().cycle().take(before).collect();
        let mut said = Said::of(OUTPUT);
        said.listen(Some(
            format!("{TOKEN}\n{filling}{TOKEN} and more").as_bytes(),
        ))
        .await;
        let shown = said.lines(Some(TOKEN)).concat();
        assert!(!shown.contains(&TOKEN[..2]), "{before}: {shown}");
    }
}
