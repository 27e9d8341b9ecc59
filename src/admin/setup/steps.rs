//! What the tenant's administrator does, with the names and ids of this set-up: in the portal, by the
//! Azure command line, and in Exchange Online PowerShell.

use super::exchange;
use crate::admin::quote::shell;
use crate::config::clouds::Cloud;

/// Microsoft Graph, which lists the permissions that people give.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// Office 365 Exchange Online, which lists those of applications.
const EXCHANGE: &str = "00000002-0000-0ff1-ce00-000000000000";

/// What the steps are made of; an empty text is not known yet.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) mailbox: String,
    /// Who signs in.
    pub(super) user: String,
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) grant: String,
    pub(super) cloud: &'static Cloud,
    /// The object id of the enterprise application, as a token has told it.
    pub(super) object: String,
    pub(super) certificate_file: String,
    pub(super) private_key_file: String,
    pub(super) client_secret_file: String,
    /// This host, as the name of its certificate or secret.
    pub(super) host: String,
    /// Whether the files are those of the host's own account.
    pub(super) is_hosts: bool,
}

/// One step: a heading, words, and blocks of lines to copy.
pub(super) struct Step {
    heading: &'static str,
    parts: Vec<Part>,
}

enum Part {
    Words(String),
    /// What is done one after the other.
    List(Vec<String>),
    Lines(Vec<String>),
}

impl Step {
    pub(super) fn new(heading: &'static str) -> Step {
        Step {
            heading,
            parts: Vec::new(),
        }
    }

    pub(super) fn words(mut self, text: impl Into<String>) -> Step {
        self.parts.push(Part::Words(text.into()));
        self
    }

    pub(super) fn list(mut self, items: &[&str]) -> Step {
        let items = items.iter().map(|&item| item.to_owned());
        self.parts.push(Part::List(items.collect()));
        self
    }

    pub(super) fn lines(mut self, lines: Vec<String>) -> Step {
        self.parts.push(Part::Lines(lines));
        self
    }

    fn text(&self, number: usize) -> String {
        let mut text = format!("{number}. {}\n\n", self.heading);
        for part in &self.parts {
            match part {
                Part::Words(words) => text += &wrapped("   ", words),
                Part::List(items) => {
                    text.extend(items.iter().map(|item| wrapped("   - ", item)));
                }
                Part::Lines(lines) => {
                    text.extend(lines.iter().map(|line| format!("        {line}\n")));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// All that has to be done for the grant.
pub(super) fn all(facts: &Facts) -> String {
    let mut steps = registration(facts);
    steps.extend(exchange::steps(facts));
    numbered(&steps)
}

/// What has to be done before the application's id is known.
pub(super) fn first(facts: &Facts) -> String {
    numbered(&registration(facts))
}

fn numbered(steps: &[Step]) -> String {
    let steps = steps.iter().zip(1..);
    steps.map(|(step, number)| step.text(number)).collect()
}

fn registration(facts: &Facts) -> Vec<Step> {
    match facts.grant.as_str() {
        "delegated" => vec![public_client(facts)],
        "managed-identity" => vec![identity(facts)],
        "command" => Vec::new(),
        _ => vec![application(facts), credential(facts)],
    }
}

/// An application that people sign in to.
fn public_client(facts: &Facts) -> Step {
    let native = format!("{}/common/oauth2/nativeclient", facts.cloud.authority);
    let personal = facts.tenant == "consumers";
    let (accounts, audience) = match personal {
        true => (
            "Personal Microsoft accounts only",
            "PersonalMicrosoftAccount",
        ),
        false => (
            "Accounts in this organizational directory only",
            "AzureADMyOrg",
        ),
    };
    let step = Step::new("Register the application that people sign in to")
        .words(format!("In the portal {}:", facts.cloud.portal))
        .list(&[
            "Entra ID > App registrations > New registration: any name, such as sendmail365",
            &format!("Supported account types: {accounts}"),
            &format!(
                "Authentication > Add a platform > Mobile and desktop applications: http://localhost \
                 and {native}"
            ),
            "Authentication > Settings > Allow public client flows: Yes; no secret",
            "API permissions > Add a permission > Microsoft Graph > Delegated permissions: SMTP.Send and \
             offline_access",
            "API permissions > Grant admin consent, unless users may consent themselves",
            &ids(facts),
        ]);
    let options = format!(
        "--sign-in-audience {audience} --is-fallback-public-client true \
         --public-client-redirect-uris http://localhost {}",
        shell(&native)
    );
    let mut lines = begin(facts, &options);
    lines.push(format!("graph={GRAPH}"));
    lines.push(
        "scope() { az ad sp show --id \"$graph\" --query \
         \"oauth2PermissionScopes[?value=='$1'].id\" --output tsv; }"
            .to_owned(),
    );
    lines.push(
        "az ad app permission add --id \"$client\" --api \"$graph\" --api-permissions \
         \"$(scope SMTP.Send)=Scope\" \"$(scope offline_access)=Scope\""
            .to_owned(),
    );
    if !personal {
        lines.push("az ad app permission admin-consent --id \"$client\"".to_owned());
    }
    step.words("Or the same by the Azure command line:")
        .lines(lines)
}

/// An application that signs in by itself.
fn application(facts: &Facts) -> Step {
    let lines = begin(facts, "--sign-in-audience AzureADMyOrg");
    Step::new("Register the application")
        .words(format!("In the portal {}:", facts.cloud.portal))
        .list(&[
            "Entra ID > App registrations > New registration: any name, such as sendmail365",
            "Supported account types: Accounts in this organizational directory only",
            "no redirect address, and no API permission: what it may send is decided in Exchange, below",
            &ids(facts),
        ])
        .words("Or the same by the Azure command line:")
        .lines(lines)
}

/// Signs in to the command line and puts the application's id into `$client`.
fn begin(facts: &Facts, options: &str) -> Vec<String> {
    let tenant = or(&facts.tenant, "TENANT");
    let mut lines = Vec::new();
    let clouds = match facts.cloud.name {
        "gcc-high" | "dod" => "AzureUSGovernment",
        "china" => "AzureChinaCloud",
        _ => "",
    };
    if !clouds.is_empty() {
        lines.push(format!("az cloud set --name {clouds}"));
    }
    lines.push(format!(
        "az login --tenant {} --allow-no-subscriptions",
        shell(tenant)
    ));
    match facts.client_id.is_empty() {
        true => {
            lines.push(format!(
                "client=$(az ad app create --display-name sendmail365 {options} --query appId \
                 --output tsv)"
            ));
            lines.push("az ad sp create --id \"$client\"; echo \"$client\"".to_owned());
        }
        false => {
            lines.push(format!("client={}", shell(&facts.client_id)));
            lines.push(format!("az ad app update --id \"$client\" {options}"));
        }
    }
    lines
}

/// Where the ids of the settings stand.
fn ids(facts: &Facts) -> String {
    match facts.client_id.is_empty() {
        true => {
            "Overview shows the Application (client) ID and the Directory (tenant) ID".to_owned()
        }
        false => format!(
            "Overview shows the Application (client) ID {}",
            facts.client_id
        ),
    }
}

/// What the application proves itself with.
fn credential(facts: &Facts) -> Step {
    match facts.grant.as_str() {
        "certificate" => certificate(facts),
        "client-secret" => secret(facts),
        _ => Step::new("Trust the other issuer").words(
            "In the registration: Certificates & secrets > Federated credentials > Add credential, with \
             the issuer, the subject and the audience of the tokens in the file (usually \
             api://AzureADTokenExchange), letter by letter.",
        ),
    }
}

fn certificate(facts: &Facts) -> Step {
    let (key, certificate) = (
        shell(or(&facts.private_key_file, "key.pem")),
        shell(or(&facts.certificate_file, "cert.pem")),
    );
    let name = shell(&format!("/CN={}", facts.host));
    let mut lines = vec![
        "umask 077".to_owned(),
        format!(
            "openssl req -x509 -newkey rsa:3072 -sha256 -days 730 -nodes -subj {name} -keyout {key} \
             -out {certificate}"
        ),
    ];
    if facts.is_hosts {
        lines.push(format!("chgrp sendmail365 {key} {certificate}"));
        lines.push(format!("chmod 0640 {key} {certificate}"));
    }
    let client = shell(or(&facts.client_id, "CLIENT-ID"));
    Step::new("Make a certificate on this host, and upload it without its key")
        .lines(lines)
        .words(format!(
            "In the registration: Certificates & secrets > Certificates > Upload certificate: the file \
             {}, and never the key. Or by the Azure command line:",
            or(&facts.certificate_file, "cert.pem")
        ))
        .lines(vec![format!(
            "az ad app credential reset --id {client} --append --cert {}",
            shell(&format!("@{}", or(&facts.certificate_file, "cert.pem")))
        )])
}

fn secret(facts: &Facts) -> Step {
    let file = shell(or(&facts.client_secret_file, "client-secret"));
    let client = shell(or(&facts.client_id, "CLIENT-ID"));
    let mut lines = vec![
        "umask 077".to_owned(),
        format!(
            "az ad app credential reset --id {client} --append --display-name {} --query password \
             --output tsv > {file}",
            shell(&facts.host)
        ),
    ];
    if facts.is_hosts {
        lines.push(format!("chgrp sendmail365 {file}"));
        lines.push(format!("chmod 0640 {file}"));
    }
    Step::new("Make a client secret")
        .words(format!(
            "In the registration: Certificates & secrets > Client secrets > New client secret; put its \
             value, not its id, into {}. Note when it ends: nothing tells this host. Or by the Azure \
             command line, without showing it:",
            or(&facts.client_secret_file, "client-secret")
        ))
        .lines(lines)
}

/// The identity that Azure gives to a machine.
fn identity(facts: &Facts) -> Step {
    Step::new("Give this machine an identity")
        .words(
            "In the Azure portal: the virtual machine or app > Security > Identity > System assigned: On. \
             It is an enterprise application then: Entra ID > Enterprise applications, application type \
             Managed Identities, shows its application id and its object id.",
        )
        .words("Or by the Azure command line:")
        .lines(vec![
            "az vm identity assign --resource-group GROUP --name MACHINE".to_owned(),
            format!(
                "az ad sp list --display-name {} --query \"[].{{application:appId,object:id}}\" \
                 --output table",
                "MACHINE"
            ),
        ])
        .words(match facts.client_id.is_empty() {
            true => "Azure grants its tokens for a day: a right that is given later may show tomorrow."
                .to_owned(),
            false => format!(
                "The settings name the user-assigned identity {}. Azure grants its tokens for a day: a \
                 right that is given later may show tomorrow.",
                facts.client_id
            ),
        })
}

/// The classic permission of an application for all that its service principal may use.
pub(super) fn classic_permission(facts: &Facts) -> Vec<String> {
    if facts.grant == "managed-identity" {
        return vec![
            format!("exchange={EXCHANGE}"),
            "resource=$(az ad sp show --id \"$exchange\" --query id --output tsv)".to_owned(),
            "role=$(az ad sp show --id \"$exchange\" --query \
             \"appRoles[?value=='SMTP.SendAsApp'].id\" --output tsv)"
                .to_owned(),
            format!("object={}", shell(exchange::object(facts))),
            format!(
                "az rest --method POST --url \
                 {}/v1.0/servicePrincipals/\"$object\"/appRoleAssignments --body \
                 \"{{\\\"principalId\\\":\\\"$object\\\",\\\"resourceId\\\":\\\"$resource\\\",\\\"appRoleId\\\":\\\"$role\\\"}}\"",
                graph(facts.cloud)
            ),
        ];
    }
    vec![
        format!("client={}", shell(or(&facts.client_id, "CLIENT-ID"))),
        format!("exchange={EXCHANGE}"),
        "role=$(az ad sp show --id \"$exchange\" --query \
         \"appRoles[?value=='SMTP.SendAsApp'].id\" --output tsv)"
            .to_owned(),
        "az ad app permission add --id \"$client\" --api \"$exchange\" --api-permissions \
         \"$role=Role\""
            .to_owned(),
        "az ad app permission admin-consent --id \"$client\"".to_owned(),
    ]
}

/// Where Microsoft Graph answers.
fn graph(cloud: &Cloud) -> &'static str {
    match cloud.name {
        "gcc-high" => "https://graph.microsoft.us",
        "dod" => "https://dod-graph.microsoft.us",
        "china" => "https://microsoftgraph.chinacloudapi.cn",
        _ => "https://graph.microsoft.com",
    }
}

pub(super) fn or<'t>(text: &'t str, unknown: &'t str) -> &'t str {
    match text.is_empty() {
        true => unknown,
        false => text,
    }
}

/// Words in lines of a terminal; the lines after the first stand below its words.
fn wrapped(first: &str, words: &str) -> String {
    const WIDTH: usize = 79;
    let indent = first.len();
    let (mut text, mut line) = (String::new(), first.to_owned());
    for word in words.split_whitespace() {
        if line.len() > indent && line.len() + 1 + word.len() > WIDTH {
            text += &format!("{line}\n");
            line = " ".repeat(indent);
        }
        if line.len() > indent {
            line.push(' ');
        }
        line += word;
    }
    text + &line + "\n"
}
