// Round and print numbers as Python does, so that rows and reasons are the same to the letter.

/** Round to a whole number, halves to the even one, as Python's `round` and numpy's `rint`. */
export function round(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** Return `value` with so many decimals, as Python's `f"{value:.2f}"`. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  // `toFixed` rounds exact halves up, Python to the even digit. Digits beyond these are exact in both.
  const exact = value.toFixed(Math.min(decimals + 60, 100));
  const cut = exact.length - (Math.min(decimals + 60, 100) - decimals);
  if (!/^50*$/.test(exact.slice(cut))) return text;
  const kept = exact.slice(0, cut).replace(/\.$/, "");
  return Number(kept.at(-1)) % 2 === 0 ? kept : text;
}

/** Return `value` rounded to so many decimals, as Python's `round(value, decimals)`. */
export const roundTo = (value: number, decimals: number): number => Number(fixed(value, decimals));

/** Return `value` with at most 6 digits, as Python's `f"{value:g}"`. */
export function general(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const [digits = "", power = "0"] = value.toExponential(5).split("e");
  const exponent = Number(power);
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  if (exponent < -4 || exponent >= 6) {
    return `${short}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = value.toFixed(Math.max(5 - exponent, 0));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
