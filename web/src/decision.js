// From logits to an answer, by a model's decision layer: the rules of docs/model-file.md, as Python's lcnet.runtime.decision has them.

function probabilities(logits, { temperature, multi_label: alone }) {
  const t = Math.fround(temperature ?? 1);
  if (alone) return logits.map((l) => 1 / (1 + Math.exp(-Math.fround(l / t))));
  const most = logits.reduce((a, b) => Math.max(a, b)), exp = logits.map((l) => Math.exp(Math.fround(Math.fround(l - most) / t)));
  const sum = Math.fround(exp.reduce((a, b) => a + b));
  return exp.map((e) => e / sum);
}

// Which of some classes are accepted: those of `columns` that reach their `least`, of these each or the best of all, or else what comes
// at least. No two rules accept the same classes.
export function rulesOf({ architecture: { num_classes: n }, labels, decision: { multi_label: alone, default: usual, thresholds, groups } }) {
  const names = labels?.names ?? [], every = Array.from({ length: n }, (_, i) => i), spare = names.indexOf(usual), two = spare >= 0 && n === 2;
  const rule = (columns, take, atLeast) => {
    const of = (i) => (Object.hasOwn(thresholds ?? {}, names[i]) ? thresholds[names[i]] : alone || two ? 0.5 : 0);
    return { columns, least: columns.map(of), take, atLeast };
  };
  if (!alone) return [rule(two ? [1 - spare] : every, 'best', spare >= 0 ? spare : null)];
  const place = new Map(names.map((name, i) => [name, i]));
  const together = (groups ?? []).map((g) => rule(g.labels.map((label) => place.get(label)), g.take, g.at_least_one ? 'best' : null));
  const grouped = new Set(together.flatMap((r) => r.columns));
  return [rule(every.filter((i) => !grouped.has(i)), 'each', null), ...together];
}

const ordered = (probs, classes) => classes.sort((a, b) => probs[b] - probs[a] || a - b);

function accepted(probs, { columns, least, take, atLeast }) {
  if (!columns.length) return [];
  const best = columns.reduce((a, b) => (probs[b] > probs[a] ? b : a));
  const reached = columns.filter((c, i) => probs[c] >= least[i] && (take === 'each' || c === best));
  return reached.length || atLeast === null ? reached : [atLeast === 'best' ? best : atLeast];
}

function answerOf({ labels, names, otherwise, take }, chosen) {
  const given = (names ?? labels).filter((_, i) => chosen.includes(labels[i]));
  if (!given.length && otherwise) given.push(otherwise);
  return take === 'each' ? given : given[0] ?? null;
}

// What Python's Result.to_dict() gives.
export function resultOf(logits, { labels, decision }, rules, topK) {
  const probs = probabilities(logits, decision), name = (i) => labels?.names[i] ?? String(i);
  const best = ordered(probs, Array.from(probs, (_, i) => i)).slice(0, topK);
  const top = best.map((i) => ({ index: i, label: name(i), id: labels?.ids?.[i] ?? null, probability: Number(probs[i].toPrecision(9)) }));
  const taken = ordered(probs, rules.flatMap((rule) => accepted(probs, rule))).map(name);
  const answers = decision.groups && Object.fromEntries(decision.groups.map((group) => [group.name, answerOf(group, taken)]));
  const known = taken.length > 0 || Object.values(answers ?? {}).some((answer) => answer?.length);
  return { known, labels: taken, ...(answers && { answers }), top };
}
