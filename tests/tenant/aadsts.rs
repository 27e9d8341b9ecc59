//! Microsoft's errors of sign-in: number, OAuth error, status and text.

use super::clock;
use serde_json::json;

/// Number, OAuth `error`, `suberror` and text.
#[rustfmt::skip]
const ERRORS: &[(u32, &str, &str, &str)] = &[
    (50_011, "invalid_request", "",
        "The redirect URI specified in the request does not match the redirect URIs \
         configured for the application."),
    (50_034, "invalid_grant", "",
        "The user account does not exist in the directory."),
    (50_057, "invalid_grant", "",
        "The user account is disabled."),
    (50_076, "interaction_required", "basic_action",
        "Due to a configuration change made by your administrator, or because you moved to \
         a new location, you must use multi-factor authentication to access the resource."),
    (50_078, "interaction_required", "basic_action",
        "Presented multi-factor authentication has expired due to policies configured by \
         your administrator."),
    (50_173, "invalid_grant", "bad_token",
        "The provided grant has expired due to it being revoked, a fresh auth token is \
         needed. The user might have changed or reset their password."),
    (50_194, "invalid_request", "",
        "Application is not configured as a multi-tenant application. Usage of the /common \
         endpoint is not supported for such apps."),
    (50_196, "invalid_grant", "",
        "The server terminated an operation because it encountered a client request loop. \
         Please contact your app vendor."),
    (53_003, "interaction_required", "",
        "Access has been blocked by Conditional Access policies. The access policy does not \
         allow token issuance."),
    (54_005, "invalid_grant", "",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code \
         or use an existing refresh token."),
    (65_001, "invalid_grant", "consent_required",
        "The user or administrator has not consented to use the application."),
    (65_004, "authorization_declined", "",
        "User declined to consent to access the app."),
    (70_000, "invalid_grant", "",
        "Provided grant is invalid or malformed."),
    (70_003, "unsupported_grant_type", "",
        "The app requested an unsupported grant type."),
    (70_011, "invalid_scope", "",
        "The provided value for the input parameter 'scope' is not valid."),
    (70_016, "authorization_pending", "",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    (70_020, "expired_token", "",
        "The provided device code has expired."),
    (70_043, "invalid_grant", "token_expired",
        "The refresh token has expired or is invalid due to sign-in frequency checks by \
         conditional access."),
    (90_002, "invalid_request", "",
        "Tenant not found. Check to make sure you have the correct tenant ID."),
    (90_033, "temporarily_unavailable", "",
        "A transient error has occurred. Please try again."),
    (90_094, "access_denied", "",
        "Admin consent is required for the permissions requested by this application."),
    (500_011, "invalid_resource", "",
        "The resource principal was not found in the tenant."),
    (501_481, "invalid_grant", "",
        "The Code_Verifier does not match the code_challenge supplied in the authorization \
         request."),
    (530_034, "access_denied", "",
        "A delegated administrator was blocked from accessing the tenant due to account \
         risk."),
    (700_016, "unauthorized_client", "",
        "Application with the identifier was not found in the directory. This can happen if \
         the application has not been installed by the administrator of the tenant."),
    (700_025, "invalid_client", "",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be \
         presented."),
    (700_082, "invalid_grant", "bad_token",
        "The refresh token has expired due to inactivity. The token was issued on \
         2024-01-01T00:00:00.0000000Z and was inactive for 90.00:00:00."),
    (700_084, "invalid_grant", "bad_token",
        "The refresh token was issued to a single page app (SPA), and therefore has a \
         fixed, limited lifetime of 1.00:00:00."),
    (900_144, "invalid_request", "",
        "The request body must contain a parameter that is missing."),
    (900_561, "invalid_request", "",
        "The endpoint only accepts POST requests. Received a GET request."),
    (901_002, "invalid_request", "",
        "The 'resource' request parameter is not supported."),
    (1_002_012, "invalid_scope", "",
        "The provided value for scope is not valid. Client credential flows must have a \
         scope value with /.default suffixed to the resource identifier (application ID \
         URI)."),
    (7_000_215, "invalid_client", "",
        "Invalid client secret provided. Ensure the secret being sent in the request is the \
         client secret value, not the client secret ID, for a secret added to app."),
    (7_000_218, "invalid_client", "",
        "The request body must contain the following parameter: 'client_assertion' or \
         'client_secret'."),
    (7_000_222, "invalid_client", "",
        "The provided client secret keys are expired."),
    (9_001_023, "invalid_request", "",
        "The grant type isn't supported over the /common or /consumers endpoints. Please \
         use the /organizations or tenant-specific endpoint."),
    (9_002_313, "invalid_request", "",
        "Invalid request. Request is malformed or invalid."),
    (9_002_332, "invalid_request", "",
        "Application is configured for use by Azure Active Directory users only. Please do \
         not use the /consumers endpoint to serve this request."),
];

/// Status and body of an error, in the shape that Microsoft gives it.
pub fn answer(code: u32, correlation_id: Option<&str>) -> (u16, String) {
    let (_, error, suberror, text) = ERRORS
        .iter()
        .find(|(number, ..)| *number == code)
        .copied()
        .unwrap_or((code, "invalid_grant", "", "The request was refused."));
    let trace = clock::guid();
    let correlation = correlation_id.map_or_else(clock::guid, str::to_owned);
    let stamp = clock::error_stamp();
    let mut body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n\
             Timestamp: {stamp}"
        ),
        "error_codes": [code],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    if !suberror.is_empty() {
        body["suberror"] = json!(suberror);
    }
    let status = match error {
        "invalid_client" => 401,
        "temporarily_unavailable" => 503,
        _ => 400,
    };
    (status, body.to_string())
}
