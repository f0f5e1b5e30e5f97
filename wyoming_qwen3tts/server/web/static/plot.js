// A plot of times to first audio: one dot per request, oldest left, on a logarithmic scale.
import { milliseconds } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [240, 62, 100, 12, 26];

/** Whether the audio of a request came from the cache. */
export const isKept = ({ cache }) => ["memory", "disk", "redis", "shared"].includes(cache);

/** The smallest value that at least `share` of all values do not exceed. */
function quantile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

function shape(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/**
 * @param {Object[]} requests newest first
 * @param {number} width pixels
 * @returns {{drawing: SVGElement[], text: string}} the plot, and a summary
 */
export function plot(requests, width) {
  const answered = requests.filter(({ first_audio_seconds: first }) => first !== null).reverse();
  if (!answered.length) return { drawing: [], text: "No request has been answered with audio yet." };
  const sorted = answered.map(firstAudio).sort((one, other) => one - other);
  const [half, most] = [quantile(sorted, 0.5), quantile(sorted, 0.95)];
  const kept = answered.filter(isKept).length;
  const text = `${answered.length} answers: median ${milliseconds(half)}, 95th percentile ${milliseconds(most)}, ` +
    `maximum ${milliseconds(sorted.at(-1))}. ${kept} came from the cache.`;
  return { drawing: [draw(answered, width, half, most)], text };
}

/** @returns {number} time to first audio in milliseconds */
const firstAudio = (request) => 1000 * request.first_audio_seconds;

function draw(answered, width, half, most) {
  const powers = answered.map((request) => Math.log10(Math.max(1, firstAudio(request))));
  const low = Math.floor(Math.min(...powers));
  const high = Math.max(low + 1, Math.ceil(Math.max(...powers)));
  const y = (ms) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.log10(Math.max(10 ** low, ms)) - low) / (high - low));
  const x = (i) => LEFT + 8 + ((width - LEFT - RIGHT - 16) * (answered.length === 1 ? 1 : i / (answered.length - 1)));
  // The summary beside the plot is its accessible description.
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": "plot-text" });
  const level = (ms, kind, label, at) => svg.append(
    shape("line", { x1: LEFT, x2: width - RIGHT, y1: y(ms), y2: y(ms), class: kind }),
    shape("text", { ...at, y: y(ms) + 4, class: kind }, label));
  for (let power = low; power <= high; power++) level(10 ** power, "", milliseconds(10 ** power), { x: LEFT - 8, "text-anchor": "end" });
  // If both lines are close, their labels would overlap.
  const apart = Math.abs(y(half) - y(most)) > 14;
  level(half, "mark", apart ? `median: ${milliseconds(half)}` : `95 %: ${milliseconds(most)}`, { x: width - RIGHT + 6 });
  level(most, "mark", apart ? `95 %: ${milliseconds(most)}` : "", { x: width - RIGHT + 6 });
  answered.forEach((request, i) => {
    const dot = shape("circle", { cx: x(i), cy: y(firstAudio(request)), r: 4, class: isKept(request) ? "kept" : "made" });
    dot.append(shape("title", {}, `${request.voice}: ${milliseconds(firstAudio(request))}`));
    svg.append(dot);
  });
  const times = [answered[0], answered.at(-1)].map(({ time }) => new Date(time * 1000).toLocaleTimeString());
  svg.append(
    shape("text", { x: LEFT, y: HEIGHT - 6 }, times[0]),
    shape("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, answered.length > 1 ? times[1] : ""));
  return svg;
}
