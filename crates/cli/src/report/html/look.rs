//! How the page looks: one style sheet in the page itself, for light and dark, screen and paper.

/// The style sheet. Colours of states are the classes named after them.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6675;--line:#dde3ea;--faint:#f4f6f9;--page:#fff;--good:#1f8a4c;\
--calm:#4a7fb5;--warn:#c47f10;--bad:#b3261e;--back:#7a5bb5;--none:#8a97a6}\
@media(prefers-color-scheme:dark){:root{--ink:#dfe5ec;--soft:#98a6b6;--line:#2b3541;--faint:#1a2129;--page:#11151b;\
--good:#3fb56f;--calm:#6fa3d8;--warn:#e0a040;--bad:#e5675f;--back:#a78be0;--none:#77838f}}\
*{box-sizing:border-box}html{scroll-behavior:smooth}\
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:82rem;padding:1.6rem 1.2rem 4rem;color:var(--ink);background:var(--page)}\
h1{font-size:1.55rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem;padding-top:.4rem;border-top:1px solid var(--line)}\
p{margin:.3rem 0}.soft{color:var(--soft)}.lead{font-size:1.05rem}\
nav{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem -1.2rem 0;padding:.5rem 1.2rem;background:var(--page);border-bottom:1px solid var(--line)}\
nav a{color:var(--calm);text-decoration:none}nav a:hover{text-decoration:underline}\
.bar{display:flex;height:.8rem;border-radius:.4rem;overflow:hidden;margin:1rem 0 .8rem;background:var(--faint)}.bar i{display:block;min-width:3px}\
.tiles{display:flex;flex-wrap:wrap;gap:.6rem}.tile{border:1px solid var(--line);border-left:5px solid var(--none);border-radius:6px;padding:.35rem .9rem;min-width:7.2rem}\
.tile b{display:block;font-size:1.45rem;line-height:1.3;font-variant-numeric:tabular-nums}.tile span{color:var(--soft)}\
.applied,.planned,.confirmed{--c:var(--good)}.unchanged{--c:var(--calm)}.blocked,.conflict,.missing,.changed-since,.left-alone,.refused,.invalid{--c:var(--warn)}\
.parked,.drifted,.failed{--c:var(--bad)}.reverted,.taken-back,.as-before{--c:var(--back)}.skipped,.waiting,.claimed{--c:var(--none)}\
.bar i{background:var(--c,var(--none))}.tile{border-left-color:var(--c,var(--none))}\
.word{white-space:nowrap}.word::before{content:'';display:inline-block;width:.6em;height:.6em;border-radius:50%;margin-right:.4em;background:var(--c,var(--none))}\
.word+.word{margin-left:.9em}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
th{color:var(--soft);font-weight:600;white-space:nowrap}tbody tr:hover{background:var(--faint)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
td.t{white-space:nowrap;font-variant-numeric:tabular-nums}td.u{overflow-wrap:anywhere;min-width:11rem}td.w{overflow-wrap:anywhere}td.z{color:var(--none)}\
code{font:12px ui-monospace,monospace;background:var(--faint);padding:.05rem .3rem;border-radius:3px;overflow-wrap:anywhere}\
details{border:1px solid var(--line);border-left:5px solid var(--warn);border-radius:6px;padding:.5rem .9rem;margin:.5rem 0}\
details.conflicts,details.parked,details.not-as-left{border-left-color:var(--bad)}details.calm{border-left-color:var(--line)}summary{cursor:pointer;font-weight:600}summary b{font-variant-numeric:tabular-nums;display:inline-block;min-width:3.2rem}\
.do{margin:.4rem 0 .7rem}.old{color:var(--soft)}\
@media print{nav{display:none}body{max-width:none}details:not([open])>*{display:revert}}";
