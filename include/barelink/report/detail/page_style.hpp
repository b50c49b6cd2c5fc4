// How a page of the tax report looks: on a screen by day and by night, and on paper. Private to the report layer.
#pragma once

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The colours are those of svg_theme.hpp. On paper always the light ones.
inline constexpr const char* page_style = R"css(
:root{color-scheme:light dark;
--ink:#1c2533;--soft:#5b6675;--page:#ffffff;--card:#f5f7fa;--edge:#e1e5ec;--rule:#c4cbd6;--grid:#e6eaf1;
--a:#2563eb;--b:#d9630b;--a-fill:#3b82f6;--b-fill:#f97316;--claim:#8b5cf6;--noise:#8793a6;
--good:#157f3c;--good-back:#e3f5e9;--bad:#b42318;--bad-back:#fdecea;--better:#1d5fd1;--better-back:#e6effd;
--open:#855700;--open-back:#fdf2d3;--none:#5b6675;--none-back:#eef1f5}
@media screen and (prefers-color-scheme:dark){:root{
--ink:#e6ebf2;--soft:#9dabbf;--page:#0e131a;--card:#151c26;--edge:#242e3c;--rule:#3a4759;--grid:#222b38;
--a:#7db1ff;--b:#fda45f;--a-fill:#3b82f6;--b-fill:#f97316;--claim:#a78bfa;--noise:#6c7a90;
--good:#5fd38a;--good-back:#13301f;--bad:#ff9b90;--bad-back:#3a1917;--better:#8ab8ff;--better-back:#14264a;
--open:#f0c862;--open-back:#332808;--none:#a8b4c5;--none-back:#1e2735}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
main{max-width:1120px;margin:0 auto;padding:40px 28px 56px}
h1{font-size:29px;line-height:1.2;font-weight:680;letter-spacing:-.015em;margin:0 0 10px}
h2{font-size:19px;line-height:1.3;font-weight:650;letter-spacing:-.005em;margin:52px 0 6px}
h3{font-size:15px;font-weight:650;margin:30px 0 6px}
p{margin:0 0 10px;max-width:76ch}
.lead{font-size:17px;line-height:1.5;margin:0 0 18px}
.soft,figcaption,caption{color:var(--soft)}
.small,figcaption,caption{font-size:13px;line-height:1.45}
.num{font-variant-numeric:tabular-nums}
.over{font-size:12.5px;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:0 0 8px}
a{color:inherit}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:14px;margin:22px 0 0}
.machine{border:1px solid var(--edge);border-left-width:4px;border-radius:8px;background:var(--card);padding:12px 16px;min-width:0}
.machine.a{border-left-color:var(--a-fill)}.machine.b{border-left-color:var(--b-fill)}
.machine b{font-size:16px;font-weight:650}
.machine p{margin:2px 0 0;font-size:13px;color:var(--soft)}
.tag{display:inline-block;min-width:22px;margin-right:7px;padding:0 6px;border-radius:5px;color:#fff;font-size:13px;font-weight:650;text-align:center}
.tag.a{background:#2563eb}.tag.b{background:#c2570a}
.banner{border:1.5px solid var(--bad);background:var(--bad-back);color:var(--bad);border-radius:8px;padding:12px 16px;margin:0 0 24px;font-weight:600}
.banner p{max-width:none;margin:0}.banner p+p{margin-top:4px;font-weight:400}
.mark{position:fixed;inset:0;z-index:9;pointer-events:none;overflow:hidden;display:flex;flex-direction:column;justify-content:space-around;align-items:center}
.mark span{font-size:54px;font-weight:750;letter-spacing:.02em;white-space:nowrap;color:var(--bad);opacity:.1;transform:rotate(-24deg)}
.chip{display:inline-block;padding:3px 10px;border-radius:999px;font-size:13px;font-weight:650;line-height:1.35;white-space:nowrap}
.v-none{color:var(--good);background:var(--good-back)}.v-tax{color:var(--bad);background:var(--bad-back)}
.v-faster{color:var(--better);background:var(--better-back)}.v-open{color:var(--open);background:var(--open-back)}
.v-gone{color:var(--none);background:var(--none-back)}
table{border-collapse:collapse;width:100%;font-size:13.5px;line-height:1.4}
th,td{text-align:left;vertical-align:top;padding:7px 14px 7px 0;border-bottom:1px solid var(--edge)}
th:last-child,td:last-child{padding-right:0}
thead th{font-weight:600;color:var(--soft);border-bottom:1px solid var(--rule);vertical-align:bottom;font-size:12.5px}
tbody th{font-weight:600}
td.r,th.r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.num{font-variant-numeric:tabular-nums}
tr.head td,tr.head th{background:var(--card)}
.wide{overflow-x:auto}
caption{text-align:left;padding:0 0 8px;caption-side:top}
table.rows td,table.rows th{vertical-align:middle;padding-top:0;padding-bottom:0}
table.rows tbody td:nth-child(1),table.rows tbody th{padding:9px 16px 9px 0;width:25%}
table.rows td.chart{padding:0 16px 0 0;width:55%}
table.rows th span{display:block;font-weight:400;color:var(--soft);font-size:12.5px}
table.rows tr.axis td{border-bottom:0;padding-top:10px}
table.rows tr.axis.top td{border-bottom:1px solid var(--rule);padding-bottom:0}
table.rows td.said .small{display:block;color:var(--soft);margin-top:3px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-family:inherit;font-weight:400;font-size:10.5px;fill:var(--ink)}
svg .mid{text-anchor:middle}svg .end{text-anchor:end}
svg .lab,svg .lab-s{fill:var(--soft);font-variant-numeric:tabular-nums}svg .lab-s{font-size:9px}
svg .gone{fill:var(--none);font-size:11.5px}svg .off{fill:var(--claim);font-size:10.5px}
svg .ax{stroke:var(--rule)}svg .grid{stroke:var(--grid)}svg .one{stroke:var(--ink);stroke-opacity:.75}
svg .margin{stroke:var(--ink);stroke-opacity:.55}
svg .claim{fill:var(--claim);fill-opacity:.2}svg .noise{fill:var(--noise);fill-opacity:.3}
svg .bar{fill-opacity:.45}svg .dot{stroke:var(--page);stroke-width:1}
svg .v-none{fill:var(--good)}svg .v-tax{fill:var(--bad)}svg .v-faster{fill:var(--better)}svg .v-open{fill:var(--open)}svg .v-gone{fill:var(--none)}
svg .a-fill{fill:var(--a-fill);fill-opacity:.8}svg .b-fill{fill:var(--b-fill);fill-opacity:.8}
svg .a-mark{stroke:var(--a)}svg .b-mark{stroke:var(--b)}
svg .who{font-size:12px;font-weight:700}svg .a-text{fill:var(--a)}svg .b-text{fill:var(--b)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:12px 0 0;padding:0;list-style:none;font-size:12.5px;color:var(--soft)}
.legend li{display:flex;align-items:center;gap:7px}
.legend svg{width:24px;height:12px;flex:none}
.money{border:1px solid var(--edge);border-radius:10px;background:var(--card);padding:18px 22px 16px;margin:26px 0 0}
.money .sum{font-size:23px;line-height:1.25;font-weight:650;letter-spacing:-.01em;margin:0 0 4px}
.money svg{margin-top:6px}
.spreads{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:16px;margin-top:14px}
figure{margin:0;border:1px solid var(--edge);border-radius:8px;background:var(--card);padding:14px 16px 12px;min-width:0}
figure b{display:block;margin-bottom:8px;font-size:13.5px;font-weight:600;line-height:1.35}
figcaption{margin-top:6px;font-size:12.5px}
.level{display:inline-block;min-width:62px;text-align:center;border-radius:5px;padding:1px 7px;font-size:12px;font-weight:650}
.l-fail{color:var(--bad);background:var(--bad-back)}.l-warn{color:var(--open);background:var(--open-back)}
.l-unknown,.l-info{color:var(--none);background:var(--none-back)}.l-ok{color:var(--good);background:var(--good-back)}
.why{margin:4px 0 0;padding:0 0 0 18px;font-size:13.5px}.why li{margin:2px 0}
.diff{font-weight:650}
table.lines{table-layout:fixed}.lines tr.head th[rowspan]{background:none}.lines th,.lines td{padding-right:12px}.lines tbody th{font-weight:400}
.lines .mini{padding-top:3px;padding-bottom:0;vertical-align:bottom}.lines td.mini{vertical-align:top;padding-top:7px}
.lines td.num,.lines td.soft{white-space:nowrap}.lines .note{display:block;color:var(--soft);font-size:12px;line-height:1.35}
footer{margin-top:56px;padding-top:14px;border-top:1px solid var(--edge);color:var(--soft);font-size:13px}
@media screen and (max-width:1119px){table.lines{min-width:1040px}}
@media screen and (max-width:900px){.wide table:not(.lines){min-width:720px}}
@media screen and (max-width:640px){main{padding:24px 16px}.pair{grid-template-columns:1fr}.spreads{grid-template-columns:1fr}h1{font-size:24px}
table.rows,table.rows tbody,table.rows tr,table.rows td,table.rows tbody th{display:block;width:auto!important}
table.rows td.chart{padding:0}table.rows tr{border-bottom:1px solid var(--edge);padding-bottom:10px}table.rows td,table.rows th{border:0}
table.rows thead,table.rows tr.axis td:not(.chart){display:none}}
@page{size:landscape;margin:12mm 13mm}
@media print{body{font-size:10pt}main{max-width:none;padding:0}h1{font-size:20pt}h2{font-size:13.5pt;margin-top:20pt}
h2,h3,h2+p{break-after:avoid}p{break-inside:avoid}.lead{font-size:12pt}table,.why{font-size:9pt}thead th,.small,figcaption,caption,.legend,.machine p{font-size:8.6pt}
tr,figure,.money,.machine,.banner,svg,.why li,table.rows{break-inside:avoid}thead{display:table-header-group}
.spreads{grid-template-columns:1fr 1fr;gap:10px}.chip{font-size:9pt;padding:2px 9px}.wide{overflow:visible}
th,td{padding-top:5px;padding-bottom:5px}.mark span{font-size:48px;opacity:.12}}
)css";

} // namespace detail
BARELINK_END_NAMESPACE
