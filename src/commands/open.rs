//! `fetch-token open`: watch, open the page with the button in the user's browser, store the token that comes.

use std::convert::Infallible;
use std::io;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use url::Url;
use webbrowser::{Browser, BrowserOptions};

use super::waiting::{Progress, Waiting};
use super::{Exit, Failure, House, run};
use crate::cli::OpenArgs;
use crate::pairing::Begin;

pub(super) async fn open(house: &House, args: OpenArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.waiting.timeout;
    let page = page(house, &args)?;
    let pairing = house.pairing(args.waiting.account, Some(args.username.clone()))?;
    let mut wait =
        Waiting::start(house, &pairing, Begin::Now, args.waiting.print, deadline).await?;
    // A reset kills the old token: nobody is led to the button while there is no place for the new one.
    let (armed, probed) = tokio::join!(
        run::armed(house, &mut wait, deadline),
        house.probe_keychain(Some(&args.username))
    );
    probed?;
    let result = if armed? {
        // A browser in the terminal lasts until it is left, and the token may come before.
        tokio::select! {
            result = token(&mut wait, deadline) => result,
            never = show(house, &page) => match never {},
        }
    } else {
        Err(wait.no_token().await)
    };
    wait.stop().await;
    result
}

/// The page with the button, of the org that the command line, else the configuration names.
fn page(house: &House, args: &OpenArgs) -> Result<Url, Failure> {
    if let Some(instance) = &args.instance {
        return Ok(instance.reset_page());
    }
    let username = &args.username;
    let account = house
        .config()?
        .choose(args.waiting.account.as_deref(), Some(username))?;
    let instance = account.instances.instance_of(username);
    Ok(instance
        .ok_or_else(|| no_instance(&account.address, username))?
        .reset_page())
}

/// Waits for the token that the button causes.
async fn token(wait: &mut Waiting<'_>, deadline: Instant) -> Result<Exit, Failure> {
    loop {
        match wait.progress(deadline).await? {
            Progress::Armed(_) | Progress::Searched => {}
            Progress::Token => return Ok(Exit::Done),
            Progress::Deadline => return Err(wait.no_token().await),
        }
    }
}

/// Opens the page, or says where it is: whoever reads this may have a browser elsewhere.
async fn show(house: &House, page: &Url) -> Infallible {
    let say = |sentence: String| house.announcer.say(&sentence);
    if has_browser() {
        say(format!(
            "Opening the page; press \"Reset Security Token\" there: {page}"
        ));
        if let Err(error) = in_browser(page.clone()).await {
            say(format!(
                "The browser could not be opened ({error}). Open the page yourself."
            ));
        }
    } else {
        say(format!(
            "No browser can be opened here. Open this page and press \"Reset Security Token\": {page}"
        ));
    }
    std::future::pending().await
}

/// Opens a page in the user's browser; lasts as long as that where it is one in the terminal.
async fn in_browser(page: Url) -> io::Result<()> {
    let open = move || {
        let mut options = BrowserOptions::new();
        // Standard output is for results.
        options.with_suppress_output(true);
        webbrowser::open_browser_with_options(Browser::Default, page.as_str(), &options)
    };
    spawn_blocking(open).await.map_err(io::Error::other)?
}

/// Whether there is something to open a page on. Where there is no screen, the systems with X11 or Wayland would start
/// a browser that fails, or one that takes the terminal.
fn has_browser() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos"))
        || ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY"]
            .into_iter()
            .any(is_set)
}

fn no_instance(address: &str, username: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!(
            "the configuration names no org for {username}. Add `instance = \"https://acme.my.salesforce.com\"` to \
             the account {address}, or give --instance"
        ),
    )
}
