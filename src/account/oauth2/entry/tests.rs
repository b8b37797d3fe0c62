use crate::account::Login;
use crate::account::oauth2::{ClientSecret, OAuth2, Source};
use crate::config::Config;
use crate::imap::Mechanism;
use std::path::Path;

fn parse(lines: &str) -> Result<OAuth2, String> {
    let text = format!(
        "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n{lines}\n"
    );
    let config =
        Config::parse(&text, Path::new("config.toml")).map_err(|error| error.to_string())?;
    let mut accounts = config.accounts;
    let account = std::sync::Arc::into_inner(accounts.remove(0)).expect("ours alone");
    match account.login {
        Login::OAuth2(oauth2) => Ok(*oauth2),
        Login::Password(_) => panic!("a password"),
    }
}

#[test]
fn providers_that_are_known_need_little() {
    let google = parse(
        "oauth2 = { provider = \"google\", client_id = \"1.apps.example\", client_secret = { public = \"GOCSPX-1\" } }",
    )
    .expect("valid");
    let Source::Client(client) = &google.source else {
        panic!("a client");
    };
    assert_eq!(client.scopes, ["https://mail.google.com/"]);
    assert_eq!(
        client.endpoints.token.as_str(),
        "https://oauth2.googleapis.com/token"
    );
    assert!(client.offers_browser() && !client.offers_device());
    assert!(matches!(client.secret, Some(ClientSecret::Public(_))));
    assert!(!format!("{google:?}").contains("GOCSPX"));

    let microsoft = "oauth2 = { provider = \"microsoft\", tenant = \"acme.example\", client_id = \"1\", method = \"xoauth2\" }";
    let microsoft = parse(microsoft).expect("valid");
    let Source::Client(client) = &microsoft.source else {
        panic!("a client");
    };
    assert_eq!(microsoft.mechanism, Some(Mechanism::XOAuth2));
    assert!(client.offers_browser() && client.offers_device());
    assert_eq!(
        client.endpoints.token.as_str(),
        "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token"
    );
    assert!(client.scopes.contains(&"offline_access".to_owned()));
}

#[test]
fn any_other_provider_and_a_command_can_be_named_and_tables_be_written_out() {
    for lines in [
        "oauth2 = { command = [\"pizauth\", \"show\", \"acme\"] }",
        "oauth2 = { command = [\"oama\"], method = \"oauthbearer\" }",
        "oauth2 = { client_id = \"x\", token_url = \"https://a.example/t\", device_url = \"https://a.example/d\", scopes = [\"mail\"] }",
        "[account.oauth2]\nclient_id = \"x\"\nclient_secret = \"keychain\"\ntoken_url = \"http://localhost:1/t\"\nauth_url = \"http://[::1]:1/a\"\nscopes = [\"mail\"]",
        "[account.oauth2]\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret = { command = [\"pass\", \"x\"] }",
    ] {
        parse(lines).expect(lines);
    }
}

#[test]
fn errors_name_the_place_and_what_was_meant() {
    let id = "client_id = \"x\"";
    for (entry, expected) in [
        (
            String::new(),
            "config.toml:5:10: an access token comes from `command`, or from",
        ),
        ("command = []".to_owned(), "5:22: `command` must be a list"),
        (
            "command = [\"a\"], client_id = \"x\"".to_owned(),
            "5:41: an access token comes from `command`, or",
        ),
        (
            "provider = \"google\"".to_owned(),
            "5:10: an access token comes from `command`, or from",
        ),
        (
            format!("provider = \"gogle\", {id}"),
            "5:23: this must be `google` or `microsoft`",
        ),
        (
            format!("provider = \"google\", tenant = \"x\", {id}"),
            "only Microsoft has tenants",
        ),
        (
            format!("provider = \"microsoft\", tenant = \"a/b\", {id}"),
            "a tenant is a domain or an id",
        ),
        (
            format!("provider = \"google\", token_url = \"https://a.example\", {id}"),
            "a `provider` has its own URLs",
        ),
        (
            format!("{id}, scopes = [\"mail\"]"),
            "`provider` (\"google\" or \"microsoft\") or `token_url` is missing",
        ),
        (
            format!("{id}, token_url = \"https://a.example\""),
            "`scopes` is missing here",
        ),
        (
            format!("{id}, token_url = \"https://a.example\", scopes = [\"mail\"]"),
            "`auth_url` or `device_url` is missing",
        ),
        (
            format!("{id}, token_url = \"http://a.example\", scopes = [\"mail\"]"),
            "5:41: this must be a URL that begins with https://",
        ),
        (
            format!("{id}, token_url = \"a.example\", scopes = [\"mail\"]"),
            "this must be a URL",
        ),
        (
            format!(
                "{id}, scopes = [\"m\"], token_url = \"https://a.example\", auth_url = \"https://a.example\", \
                 revocation_url = \"http://127.0.0.1/r\""
            ),
            "this must be a URL that begins with https://",
        ),
        (
            format!("provider = \"google\", revocation_url = \"https://a.example\", {id}"),
            "a `provider` has its own URLs",
        ),
        (
            format!("{id}, provider = \"google\", scopes = []"),
            "scopes are a list of words",
        ),
        (
            format!("{id}, provider = \"google\", scopes = [\"a b\"]"),
            "scopes are a list of words",
        ),
        (
            "client_id = \"x y\", provider = \"google\"".to_owned(),
            "a client id is one word",
        ),
        (
            format!("{id}, provider = \"google\", method = \"plain\""),
            "this must be `oauthbearer` or `xoauth2`",
        ),
        (
            format!("{id}, provider = \"google\", client_secrt = \"x\""),
            "Did you mean `client_secret`?",
        ),
    ] {
        let error = parse(&format!("oauth2 = {{ {entry} }}")).expect_err(&entry);
        assert!(error.contains(expected), "{entry}: {error}");
    }
    let both = parse("password = \"prompt\"\noauth2 = { command = [\"a\"] }").expect_err("both");
    assert_eq!(
        both,
        "config.toml:6:10: an account has a `password` or `oauth2`, not both"
    );
}

#[test]
fn no_error_repeats_a_secret_that_stands_in_the_file() {
    for secret in [
        "\"hunter2secret\"",
        "[\"hunter2secret\"]",
        "{ command = \"hunter2secret\" }",
        "{ public = [\"hunter2secret\"] }",
        "{ publik = \"hunter2secret\" }",
        "{ public = \"hunter2secret\", command = [\"x\"] }",
        "5",
    ] {
        let entry = format!(
            "oauth2 = {{ provider = \"google\", client_id = \"x\", client_secret = {secret} }}"
        );
        let error = parse(&entry).expect_err(secret);
        assert!(!error.contains("hunter2"), "{secret}: {error}");
        assert!(error.starts_with("config.toml:5:"), "{secret}: {error}");
    }
}
