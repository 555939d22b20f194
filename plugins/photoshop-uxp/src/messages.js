// Every word that the user reads, in English and Simplified Chinese, and the sentence for each error code.
"use strict";

/** @typedef {Record<string, string>} Table */

/** @type {Table} */
const ENGLISH = {
  // The bridge
  searching: "Looking for the bridge…",
  offline: "No bridge",
  unpaired: "Bridge found, not paired yet",
  starting: "The bridge is starting…",
  state: "{checkpoint} · {device}",
  state_busy: "{checkpoint} · {device} · {count} at work",
  no_checkpoint: "no checkpoint",
  pair_explain: "Pair this Photoshop with the bridge once. The bridge shows a code of eight characters, in its window and in its console.",
  pair: "Pair",
  retry: "Try again",
  diagnose: "Diagnose",
  diagnose_close: "Close",
  diagnose_hint: "Select the text to copy it.",
  diagnose_ok: "{url}: bridge {version}, protocol {protocol}, {status}",
  diagnose_bad: "{url}: {problem}",

  // Settings
  preset: "Preset",
  "preset:default": "Default",
  "preset:dslr": "DSLR",
  "preset:phone": "Phone",
  "preset:old-photo": "Old photo",
  preset_custom: "{preset} (changed)",
  preset_name: "Name of the new preset",
  save: "Save",
  save_as: "Save as…",
  delete: "Delete",
  cancel: "Cancel",
  strength: "Strength",
  denoise: "Denoise",
  sharpen: "Sharpen",
  mode: "Mode",
  mode_natural: "Natural: keeps skin texture",
  mode_detail: "Detail: keeps colour and brightness",
  mode_strong: "Strong: takes everything",
  layers: "Layers",
  layers_one: "One layer for all faces",
  layers_each: "One layer for each face",
  source: "Work on",
  source_layer: "The selected layer",
  source_visible: "Everything visible",

  // Faces
  find_faces: "Find faces",
  faces_none: "No face was found.",
  faces_found: "Faces: {count}",
  face_number: "Face {number}",
  face_grade_good: "sharp",
  face_grade_soft: "soft",
  face_grade_poor: "poor",

  // Work
  enhance_layer: "Enhance layer",
  enhance_documents: "Enhance open documents",
  resume_documents: "Resume: {count} left",
  stage_capture: "Reading the layer…",
  stage_find: "Looking for faces…",
  stage_filter: "Denoise and sharpen…",
  stage_restore: "Restoring {number} of {count}…",
  stage_write: "Writing the layers…",
  stage_waiting: "The bridge is busy; waiting for it…",
  stage_done: "Done",
  document_number: "Document {number} of {count}: {name}",
  before: "Before",
  after: "After",
  result: "{restored} of {found} faces, {seconds} s",
  result_checkpoints: "{restored} of {found} faces, {seconds} s, {checkpoints}",
  result_filter_only: "Denoise and sharpen, {seconds} s",
  result_nothing: "No face was found, so nothing was changed.",
  batch_result: "Documents: {total}. Done: {done}. Failed: {failed}.",
  batch_failed: "{name}: {problem}",
  make_rgb_copy: "Make an RGB copy",
  use_visible: "Work on everything visible",

  // Names in the document
  history: "GPEN Enhance: {preset}",
  layer_faces: "GPEN {preset}, strength {strength}",
  layer_face: "GPEN face {number}, strength {strength}",
  layer_filtered: "GPEN denoise {denoise}, sharpen {sharpen}",
  copy_name: "{document} RGB",

  // Warnings
  depth_reduced: "Photoshop gave this layer in 8 bits only, so the result has 8 bits.",
  profile_converted: "The bridge does not know this document's colour profile, so Photoshop converted the faces there and back.",
  covers_more: "What was enhanced is translucent or blended, and the result could not be clipped to it: it covers more than the layer did.",

  // Errors of the plug-in
  bridge_unreachable: "The bridge does not answer. Start it with “gpen-bridge serve”, then try again.",
  bridge_timeout: "The bridge did not answer in time. It may be overloaded; try again.",
  not_a_bridge: "Another program answers at {url}.",
  protocol_mismatch: "The bridge (version {version}) and this plug-in speak different protocols ({theirs} and {ours}). Update the older of the two.",
  answer_unknown: "The bridge gave an answer that this plug-in does not understand (status {status}). Update the older of the two.",
  not_paired: "This Photoshop is not paired with the bridge yet. Open the panel and type the code.",
  host_busy: "Photoshop is busy with a dialog or another plug-in. Finish that, then try again.",
  host_failed: "Photoshop refused: {detail}",
  no_document: "Open a document first.",
  document_closed: "The document was closed meanwhile. Nothing was written.",
  document_changed: "The size, mode or depth of “{document}” was changed meanwhile. Nothing was written; enhance it again.",
  mode_unsupported: "“{document}” is in {mode} mode. GPEN works in RGB, Grayscale and Lab. Nothing was converted.",
  no_layer: "Select a layer first.",
  many_layers: "{count} layers are selected. Select one.",
  layer_hidden: "The layer “{layer}” is hidden. Show it, then try again.",
  layer_without_pixels: "“{layer}” is an adjustment layer and has no pixels of its own.",
  layer_empty: "The layer “{layer}” is empty.",
  layer_outside: "The layer “{layer}” lies wholly outside of the canvas.",
  layer_gone: "The layer was deleted meanwhile. Nothing was written.",
  layer_changed: "The layer “{layer}” was changed meanwhile. Nothing was written; enhance it again.",
  selection_outside: "The selection does not touch this layer.",
  preset_name_invalid: "A preset's name has 1 to 64 letters, digits, spaces and . ( ) + - _",

  // Errors of the bridge; the others are shown with the bridge's own detail
  unauthorized: "The bridge does not know this Photoshop any more. Pair it again.",
  pairing_failed: "The code is wrong or has expired. Ask the bridge for a new one: it lives five minutes and five tries.",
  busy: "The bridge has as much work as it accepts. Try again in a moment.",
  not_ready: "The bridge is still starting. Try again in a moment.",
  cancelled: "Cancelled. Nothing was written.",
  image_too_large: "The layer has more pixels than the bridge accepts.",
  body_stalled: "The connection to the bridge stood still. Try again.",
  body_too_large: "The layer has more bytes than the bridge accepts.",
  out_of_memory: "The device has too little free memory. Close other programs that use the GPU.",
  engine_failed: "The network failed on the device. Try again; if it persists run “gpen-bridge doctor”.",
  checkpoint_not_installed: "This checkpoint is not installed. Run “gpen-bridge weights list”.",
  preset_unknown: "The bridge has no preset of that name any more.",
  preset_read_only: "Built-in presets cannot be changed. Save it under another name.",
  profile_unknown: "The bridge does not know this document's colour profile.",
  error_other: "The bridge reports: {detail}",
};

/** @type {Table} */
const CHINESE = {
  searching: "正在查找桥接程序…",
  offline: "无桥接程序",
  unpaired: "已找到桥接程序，尚未配对",
  starting: "桥接程序正在启动…",
  state: "{checkpoint} · {device}",
  state_busy: "{checkpoint} · {device} · 处理中 {count}",
  no_checkpoint: "无模型",
  pair_explain: "首次使用请将此 Photoshop 与桥接程序配对。桥接程序的窗口和控制台会显示八位配对码。",
  pair: "配对",
  retry: "重试",
  diagnose: "诊断",
  diagnose_close: "关闭",
  diagnose_hint: "选中文字即可复制。",
  diagnose_ok: "{url}：桥接程序 {version}，协议 {protocol}，{status}",
  diagnose_bad: "{url}：{problem}",

  preset: "预设",
  "preset:default": "默认",
  "preset:dslr": "单反",
  "preset:phone": "手机",
  "preset:old-photo": "老照片",
  preset_custom: "{preset}（已修改）",
  preset_name: "新预设名称",
  save: "保存",
  save_as: "另存为…",
  delete: "删除",
  cancel: "取消",
  strength: "强度",
  denoise: "降噪",
  sharpen: "锐化",
  mode: "模式",
  mode_natural: "自然：保留皮肤质感",
  mode_detail: "细节：保留颜色与明暗",
  mode_strong: "强力：全部采用",
  layers: "图层",
  layers_one: "所有人脸合为一层",
  layers_each: "每张人脸各一层",
  source: "处理对象",
  source_layer: "所选图层",
  source_visible: "所有可见内容",

  find_faces: "查找人脸",
  faces_none: "未找到人脸。",
  faces_found: "人脸：{count}",
  face_number: "人脸 {number}",
  face_grade_good: "清晰",
  face_grade_soft: "偏软",
  face_grade_poor: "较差",

  enhance_layer: "增强图层",
  enhance_documents: "增强所有打开的文档",
  resume_documents: "继续：剩余 {count}",
  stage_capture: "正在读取图层…",
  stage_find: "正在查找人脸…",
  stage_filter: "正在降噪与锐化…",
  stage_restore: "正在修复 {number}/{count}…",
  stage_write: "正在写入图层…",
  stage_waiting: "桥接程序正忙，等待中…",
  stage_done: "完成",
  document_number: "文档 {number}/{count}：{name}",
  before: "处理前",
  after: "处理后",
  result: "人脸 {restored}/{found}，{seconds} 秒",
  result_checkpoints: "人脸 {restored}/{found}，{seconds} 秒，{checkpoints}",
  result_filter_only: "降噪与锐化，{seconds} 秒",
  result_nothing: "未找到人脸，文档未作改动。",
  batch_result: "文档：{total}。完成：{done}。失败：{failed}。",
  batch_failed: "{name}：{problem}",
  make_rgb_copy: "创建 RGB 副本",
  use_visible: "改为处理所有可见内容",

  history: "GPEN Enhance：{preset}",
  layer_faces: "GPEN {preset}，强度 {strength}",
  layer_face: "GPEN 人脸 {number}，强度 {strength}",
  layer_filtered: "GPEN 降噪 {denoise}，锐化 {sharpen}",
  copy_name: "{document} RGB",

  depth_reduced: "Photoshop 只能以 8 位提供此图层，因此结果为 8 位。",
  profile_converted: "桥接程序不认识此文档的颜色配置文件，人脸部分由 Photoshop 往返转换。",
  covers_more: "所增强的内容是半透明的或使用了混合模式，而结果无法剪贴到其上，因此会比原图层遮盖得更多。",

  bridge_unreachable: "桥接程序没有响应。请运行“gpen-bridge serve”启动，然后重试。",
  bridge_timeout: "桥接程序未及时响应，可能负载过高，请重试。",
  not_a_bridge: "{url} 上是另一个程序。",
  protocol_mismatch: "桥接程序（版本 {version}）与此插件的协议不同（{theirs} 与 {ours}）。请更新较旧的一方。",
  answer_unknown: "插件无法理解桥接程序的回答（状态 {status}）。请更新较旧的一方。",
  not_paired: "此 Photoshop 尚未与桥接程序配对。请打开面板并输入配对码。",
  host_busy: "Photoshop 正忙于对话框或其他插件。请先完成该操作，然后重试。",
  host_failed: "Photoshop 拒绝了操作：{detail}",
  no_document: "请先打开文档。",
  document_closed: "文档已被关闭，未写入任何内容。",
  document_changed: "“{document}”的尺寸、模式或位深已被更改。未写入任何内容，请重新增强。",
  mode_unsupported: "“{document}”为 {mode} 模式。GPEN 支持 RGB、灰度和 Lab。未作任何转换。",
  no_layer: "请先选择图层。",
  many_layers: "选中了 {count} 个图层，请只选一个。",
  layer_hidden: "图层“{layer}”已隐藏。请先显示它，然后重试。",
  layer_without_pixels: "“{layer}”是调整图层，本身没有像素。",
  layer_empty: "图层“{layer}”是空的。",
  layer_outside: "图层“{layer}”完全位于画布之外。",
  layer_gone: "图层已被删除，未写入任何内容。",
  layer_changed: "图层“{layer}”已被更改。未写入任何内容，请重新增强。",
  selection_outside: "选区未触及此图层。",
  preset_name_invalid: "预设名称为 1 至 64 个字母、数字、空格以及 . ( ) + - _",

  unauthorized: "桥接程序已不认识此 Photoshop，请重新配对。",
  pairing_failed: "配对码错误或已过期。请在桥接程序获取新的配对码：有效期五分钟，可尝试五次。",
  busy: "桥接程序的任务已满，请稍后重试。",
  not_ready: "桥接程序仍在启动，请稍后重试。",
  cancelled: "已取消，未写入任何内容。",
  image_too_large: "图层像素数超过桥接程序的上限。",
  body_stalled: "与桥接程序的连接停滞，请重试。",
  body_too_large: "图层数据量超过桥接程序的上限。",
  out_of_memory: "设备可用内存不足，请关闭其他占用 GPU 的程序。",
  engine_failed: "网络在设备上运行失败。请重试；若仍失败，请运行“gpen-bridge doctor”。",
  checkpoint_not_installed: "未安装此模型。请运行“gpen-bridge weights list”。",
  preset_unknown: "桥接程序中已没有该名称的预设。",
  preset_read_only: "内置预设不可更改，请以其他名称保存。",
  profile_unknown: "桥接程序不认识此文档的颜色配置文件。",
  error_other: "桥接程序报告：{detail}",
};

/** @type {Record<string, Table>} */
const LANGUAGES = { en: ENGLISH, zh: CHINESE };

/**
 * @typedef {object} Words
 * @property {(key: string, values?: Record<string, string | number>) => string} say
 * @property {(problem: import("./problem.js").Problem) => string} explain
 */

/**
 * The words of a language.
 *
 * @param {string} locale as Photoshop names it: "en_US", "zh_CN"
 * @returns {Words}
 */
function wordsFor(locale) {
  const table = LANGUAGES[/^zh/i.test(locale) ? "zh" : "en"];
  /** @type {Words["say"]} */
  const say = (key, values = {}) => {
    // A preset of the user's own has the name that the user gave it.
    const template = table[key] || (key.startsWith("preset:") ? key.slice("preset:".length) : key);
    return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  };
  /** @type {Words["explain"]} */
  const explain = (problem) =>
    table[problem.code]
      ? say(problem.code, problem.values)
      : say("error_other", { detail: [problem.detail, problem.hint].filter(Boolean).join(" ") || problem.code });
  return { say, explain };
}

module.exports = { LANGUAGES, wordsFor };
