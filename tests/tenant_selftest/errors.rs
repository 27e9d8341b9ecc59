//! Errors of sign-in: a number of every kind, in the shapes that Microsoft's services have.

use super::client::*;
use crate::tenant::{Answer, Cloud, Door, Fault, Numbers, Setup, Shape, Tenant};
use serde_json::Value;

/// Numbers that mean the same to an administrator stand together.
const KINDS: [&[u32]; 68] = [
    &[16_000, 50_020, 50_034, 51_004],
    &[28_002, 28_003, 70_011, 700_023, 1_002_012],
    &[28_000, 700_022],
    &[50_001, 500_011],
    &[500_021, 500_022, 50_002],
    &[500_212, 500_213],
    &[50_011, 70_004, 900_971],
    &[50_012, 700_027, 700_030, 50_006, 900_384],
    &[50_013, 500_133, 50_027, 50_048],
    &[50_014],
    &[50_053],
    &[50_055, 50_144],
    &[50_056, 50_064, 50_126],
    &[50_057],
    &[50_058],
    &[50_059, 50_128, 90_019],
    &[50_072, 50_074, 50_076, 50_079, 50_158],
    &[50_078],
    &[50_085, 50_089, 50_132, 50_133],
    &[50_097, 50_129, 50_155, 53_000, 53_001, 53_002],
    &[50_105],
    &[50_131],
    &[50_134],
    &[50_173],
    &[50_194],
    &[50_196],
    &[53_003, 530_032, 530_034, 530_035, 53_011],
    &[53_004, 53_010],
    &[54_005],
    &[500_208, 9_002_332, 90_124, 90_130, 90_027],
    &[501_481, 50_147, 501_491],
    &[65_001],
    &[65_002],
    &[65_004],
    &[65_005, 650_052, 650_054, 650_056, 650_057],
    &[70_000],
    &[70_001, 7_000_112, 700_016, 700_011],
    &[70_002, 7_000_215],
    &[7_000_222],
    &[7_000_218],
    &[700_025],
    &[70_003, 70_005, 70_007],
    &[700_005],
    &[70_008, 700_082],
    &[700_084],
    &[70_012],
    &[70_016],
    &[70_018, 90_119],
    &[70_019, 70_020],
    &[90_120],
    &[70_043],
    &[700_211, 700_212, 700_213, 70_021, 700_229],
    &[80_001, 80_002, 80_005, 80_007, 80_012, 80_013, 80_014],
    &[90_002],
    &[90_013, 90_014, 900_144, 90_023, 9_002_313, 90_004, 90_100],
    &[9_001_023],
    &[90_006, 90_012, 90_024, 90_033, 90_090, 50_033, 50_087],
    &[90_036, 50_000],
    &[90_038, 900_382, 900_432, 1_000_104],
    &[90_055],
    &[90_056, 900_561],
    &[90_072],
    &[90_094, 90_095],
    &[90_099],
    &[901_002],
    &[9_002_326],
    &[1_000_031, 51_005],
    &[700_024],
];

#[test]
fn every_kind_of_error_is_there_in_microsofts_shape() {
    let tenant = Tenant::start();
    for kind in KINDS {
        let mut told = 0;
        for number in kind {
            tenant.fault(Fault::Token(Answer::Aadsts(*number)).once());
            let (status, answer) = refresh(&tenant, SCOPE);
            let text = answer["error_description"].as_str().unwrap();
            told += usize::from(!text.contains("The request was refused."));
            let parts: Vec<&str> = text.split("\r\n").collect();
            assert!(parts[0].starts_with(&format!("AADSTS{number}: ")), "{text}");
            let named = |name: &str| answer[name].as_str().unwrap().to_owned();
            assert_eq!(parts[1], format!("Trace ID: {}", named("trace_id")));
            assert_eq!(
                parts[2],
                format!("Correlation ID: {}", named("correlation_id"))
            );
            assert_eq!(parts[3], format!("Timestamp: {}", named("timestamp")));
            assert_eq!(answer["error_codes"], Value::from(vec![*number]));
            assert!(named("error_uri").ends_with(&format!("?code={number}")));
            let expected = match named("error").as_str() {
                "invalid_client" => 401,
                "server_error" => 500,
                "temporarily_unavailable" => 503,
                _ => 400,
            };
            assert_eq!(status, expected, "{number}");
        }
        assert!(told > 0, "none of {kind:?}");
    }
}

#[test]
fn the_words_that_decide_what_to_do_go_with_their_numbers() {
    let tenant = Tenant::start();
    for (number, error, suberror, claims) in [
        (50_076, "interaction_required", "basic_action", true),
        (53_003, "interaction_required", "", true),
        (530_032, "access_denied", "", true),
        (700_082, "invalid_grant", "bad_token", false),
        (70_043, "invalid_grant", "token_expired", false),
        (65_001, "invalid_grant", "consent_required", false),
        (70_000, "invalid_grant", "", false),
    ] {
        tenant.fault(Fault::Token(Answer::Aadsts(number)).once());
        let (_, answer) = refresh(&tenant, SCOPE);
        assert_eq!(answer["error"], error);
        assert_eq!(answer["suberror"].as_str().unwrap_or_default(), suberror);
        let told = answer["claims"].as_str();
        assert_eq!(told.is_some(), claims, "{number}");
        assert!(told.is_none_or(|text| serde_json::from_str::<Value>(text).is_ok()));
    }
    tenant.fault(Fault::Token(Answer::Worded(530_032, "invalid_grant")).once());
    let answer = refresh(&tenant, SCOPE);
    assert_eq!(
        (code(&answer), &answer.1["error"]),
        ((400, 530_032), &"invalid_grant".into())
    );
}

#[test]
fn an_error_can_have_other_shapes_and_other_numbers() {
    let tenant = Tenant::start();
    let answers = |answer: Answer| {
        tenant.fault(Fault::Token(answer).once());
        refresh(&tenant, SCOPE)
    };
    let (status, answer) = answers(Answer::Numbered(50_173, Numbers::Text));
    assert_eq!(
        (status, &answer["error_codes"]),
        (400, &vec!["50173"].into())
    );
    let (_, answer) = answers(Answer::Numbered(50_173, Numbers::InTextOnly));
    assert!(answer.get("error_codes").is_none());
    assert!(
        answer["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS50173: ")
    );
    let (status, answer) = answers(Answer::Shaped(Shape::Flat, 400, "invalid_resource", "no"));
    assert_eq!(
        (status, &answer["error"]),
        (400, &"invalid_resource".into())
    );
    let (status, answer) = answers(Answer::Shaped(Shape::AppService, 500, "", "no identity"));
    assert_eq!((status, &answer["message"]), (500, &"no identity".into()));
    assert_eq!(answer["statusCode"], 500);
    let (status, answer) = answers(Answer::Shaped(Shape::Nested, 403, "Forbidden", "no"));
    assert_eq!(
        (status, &answer["error"]["code"]),
        (403, &"Forbidden".into())
    );
    assert_eq!(answer["error"]["message"], "no");
}

#[test]
fn what_stands_between_answers_too() {
    let tenant = Tenant::start();
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id());
    let answers = |answer: Answer| {
        tenant.fault(Fault::On(Door::Token, answer).once());
        let token = tenant.refresh_token();
        let form = [
            ("client_id", tenant.client_id()),
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
        ];
        post(&tenant, &path, &form)
    };
    let (status, head, body) = answers(Answer::Html200);
    assert!(status == 200 && head.contains("text/html") && body.contains("<title>"));
    let (status, head, _) = answers(Answer::Redirect(307, "https://portal.example/".to_owned()));
    assert!(status == 307 && head.contains("\r\nLocation: https://portal.example/\r\n"));
    let (status, head, _) = answers(Answer::Throttled(Some(17)));
    assert!(status == 429 && head.contains("\r\nRetry-After: 17\r\n"));
    let (status, head, _) = answers(Answer::Throttled(None));
    assert!(status == 429 && !head.contains("Retry-After"));
    let (status, head, _) = answers(Answer::Proxy(407));
    assert!(status == 407 && head.contains("text/html"));

    // The right answer, but for something.
    let (status, _, body) = answers(Answer::Behind("\u{feff}\r\n "));
    let rest = body.strip_prefix("\u{feff}\r\n ").unwrap();
    let rest: Value = serde_json::from_str(rest).unwrap();
    assert!(status == 200 && rest["access_token"].is_string());
    let (_, _, body) = answers(Answer::Member("expires_on", "\"1\""));
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap()["expires_on"],
        "1"
    );
    let (_, _, body) = answers(Answer::Member("scope", ""));
    assert!(
        serde_json::from_str::<Value>(&body)
            .unwrap()
            .get("scope")
            .is_none()
    );
    let date = |head: &str| {
        let date = head.split_once("\r\nDate: ").unwrap().1;
        mailparse::dateparse(date.split("\r\n").next().unwrap()).unwrap()
    };
    let (_, right, _) = answers(Answer::Member("scope", ""));
    let (_, ahead, _) = answers(Answer::ClockAhead(86_400));
    assert!((86_400..86_500).contains(&(date(&ahead) - date(&right))));
}

#[test]
fn a_fault_can_be_at_the_nth_request() {
    let tenant = Tenant::start();
    tenant.fault(Fault::Token(Answer::Aadsts(50_196)).nth(3));
    let seen: Vec<u16> = (0..4).map(|_| refresh(&tenant, SCOPE).0).collect();
    assert_eq!(seen, [200, 200, 400, 200]);
}

#[test]
fn a_personal_account_has_a_place_and_tokens_of_its_own() {
    let tenant = Tenant::with(Setup {
        personal: true,
        ..Setup::default()
    });
    let token = tenant.refresh_token();
    let form = [
        ("client_id", tenant.client_id()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("scope", SCOPE),
    ];
    let at = |place: &str| json(&tenant, &format!("/{place}/oauth2/v2.0/token"), &form);
    assert_eq!(at("9188040d-6c67-4c5b-b112-36a304b66dad").0, 200);
    let (_, answer) = at("consumers");
    let token = answer["access_token"].as_str().unwrap();
    assert!(token.starts_with("EwB") && !token.contains('.'));
    assert!(tenant.leak_in(token.as_bytes()).is_some());
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), token)
            .starts_with("235 ")
    );
    let cut = &token[..token.len() - 1];
    assert!(
        Client::secured(&tenant)
            .auth(tenant.mailbox(), cut)
            .starts_with("535 ")
    );
    assert_eq!(code(&at("organizations")), (400, 500_208));
    // And the other way round.
    let work = Tenant::start();
    let path = "/consumers/oauth2/v2.0/token";
    assert_eq!(code(&json(&work, path, &form)), (400, 9_002_332));
}

#[test]
fn a_national_cloud_knows_its_own_resources_only() {
    for (cloud, resource) in [
        (Cloud::GccHigh, "https://outlook.office365.us"),
        (Cloud::Dod, "https://outlook-dod.office365.us"),
        (Cloud::China, "https://partner.outlook.cn"),
    ] {
        let tenant = Tenant::with(Setup {
            cloud,
            ..Setup::default()
        });
        assert_eq!(code(&refresh(&tenant, SCOPE)), (400, 500_011));
        let (_, answer) = refresh(&tenant, &format!("{resource}/SMTP.Send offline_access"));
        let token = answer["access_token"].as_str().unwrap();
        assert!(
            Client::secured(&tenant)
                .auth(tenant.mailbox(), token)
                .starts_with("235 ")
        );
        let abroad = Tenant::start();
        let mut claims = abroad.claims();
        claims.audience = resource.to_owned();
        let token = abroad.mint(&claims);
        assert!(
            Client::secured(&abroad)
                .auth(abroad.mailbox(), &token)
                .starts_with("535 ")
        );
    }
}
