//! A sendmail whose mail leaves through Microsoft 365.
//!
//! ```text
//! argv[0], argv ── cli ────► Invocation ─┐        stdin ── mail ──► Message
//! ids, passwd ──── sys ────► Caller ─────┤                            │ recipients, repair, From
//! /etc ─────────── config ─► Config ─────┤                            ▼
//!                                      run ── Submit ──► submit ◄── Envelope
//!                                       │                  ├─ oauth: the cached token, or one refresh
//!                                       ├─ -q ──► submit   ├─ smtp: one session, one verdict
//!                                       └─ others ► admin  └─ queue: what the server did not take
//!                                                              │
//!                    exit code ◄── main ◄── Outcome or Failure ┘
//! ```
//!
//! Layers, each importing only from those before it: `outcome`; `mail`, `sys`; `cli`, `oauth`,
//! `smtp`, `queue`, `letterbox`; `config`; `submit`; `admin`; `run`. The world is touched in edge files only,
//! which say so in their first lines; `grep -rl '"edge:' src` lists them.

pub mod admin;
pub mod cli;
pub mod config;
pub mod letterbox;
pub mod mail;
pub mod oauth;
pub mod outcome;
pub mod queue;
pub mod run;
pub mod smtp;
pub mod submit;
pub mod sys;
