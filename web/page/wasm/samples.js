// Pictures to try with, drawn here: nobody's photographs.

const [WIDTH, HEIGHT] = [480, 360];

function ground(context, ...stops) {
  const fill = context.createLinearGradient(0, 0, 0, HEIGHT);
  stops.forEach(([at, color]) => fill.addColorStop(at, color));
  context.fillStyle = fill;
  context.fillRect(0, 0, WIDTH, HEIGHT);
}

function shape(context, color, path) {
  context.fillStyle = color;
  context.fill(new Path2D(path));
}

function ship(context) {
  ground(context, [0, "#9cc3e6"], [0.58, "#dcebf5"], [0.581, "#2f6a94"], [1, "#123a5c"]);
  shape(context, "#20252b", "M50 210 H430 L396 268 H92 Z");
  shape(context, "#a3302a", "M80 248 H408 L396 268 H92 Z");
  shape(context, "#f2f2ee", "M130 160 H330 V210 H130 Z M160 122 H290 V160 H160 Z");
  shape(context, "#c33a2c", "M200 70 H236 V122 H200 Z M252 84 H280 V122 H252 Z");
  shape(context, "#27445c", "M146 176 h22 v14 h-22 Z M186 176 h22 v14 h-22 Z M226 176 h22 v14 h-22 Z M266 176 h22 v14 h-22 Z");
  shape(context, "#cfe3ef", "M30 274 q30 -12 60 0 t60 0 t60 0 t60 0 t60 0 t60 0 t60 0 v8 H30 Z");
}

function airplane(context) {
  ground(context, [0, "#5a98d6"], [1, "#d6e7f6"]);
  shape(context, "#eceff2", "M40 190 Q60 160 130 160 H380 L430 96 H456 L436 188 Q420 214 350 214 H110 Q50 214 40 190 Z");
  shape(context, "#b9c1c9", "M190 196 H300 L220 300 H186 Z M214 160 H282 L240 92 H216 Z");
  shape(context, "#8c97a3", "M380 176 H446 L458 196 H392 Z");
  shape(context, "#33424f", "M66 176 Q80 164 100 164 L96 182 H64 Z");
  shape(context, "#44566a", "M130 172 h10 v10 h-10 Z M156 172 h10 v10 h-10 Z M310 172 h10 v10 h-10 Z M336 172 h10 v10 h-10 Z");
}

function wheel(context, x, y, size) {
  for (const [color, share] of [["#17181a", 1], ["#b9bdc2", 0.55], ["#55595e", 0.2]]) {
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, share * size, 0, 2 * Math.PI);
    context.fill();
  }
}

function car(context) {
  ground(context, [0, "#b8c8d4"], [0.6, "#d9dfe2"], [0.601, "#6d7074"], [1, "#48494c"]);
  shape(context, "#b3261e", "M40 214 Q48 182 120 176 L166 122 Q176 112 196 112 H312 Q330 112 342 126 L380 174 Q440 182 446 214 V262 H40 Z");
  shape(context, "#26323c", "M144 174 L180 132 Q186 126 196 126 H234 V174 Z M250 126 H308 Q322 126 330 136 L356 174 H250 Z");
  shape(context, "#f5e9b8", "M424 200 h22 v18 h-22 Z");
  shape(context, "#7c1a15", "M40 236 H446 V262 H40 Z");
  wheel(context, 124, 262, 40);
  wheel(context, 362, 262, 40);
}

function truck(context) {
  ground(context, [0, "#a9c4dc"], [0.6, "#dfe6ea"], [0.601, "#77777a"], [1, "#4c4c4f"]);
  shape(context, "#e9e6dd", "M24 84 H300 V252 H24 Z");
  shape(context, "#c9c5b8", "M24 232 H300 V252 H24 Z M24 84 H300 V94 H24 Z");
  shape(context, "#2d5f9e", "M310 130 H392 Q404 130 412 144 L438 190 Q456 194 456 214 V252 H310 Z");
  shape(context, "#22303c", "M332 146 H386 Q392 146 396 154 L414 190 H332 Z");
  shape(context, "#26282b", "M24 252 H456 V264 H24 Z");
  shape(context, "#f5e9b8", "M440 214 h16 v16 h-16 Z");
  for (const x of [92, 164, 392]) wheel(context, x, 266, 36);
}

/** The samples as files. */
export function samples() {
  return Promise.all(Object.entries({ ship, airplane, car, truck }).map(drawn));
}

async function drawn([name, draw]) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  draw(canvas.getContext("2d"));
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new File([blob], `${name}.png`, { type: "image/png" });
}
