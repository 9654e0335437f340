// Decimal: from the digits of a price or quantity to the nearest f64, exactly as `Number()` reads them.
//
// Digits are gathered in 64 bits. Up to 2^53 they and a power of ten up to 10^22 are exact floats, so one division gives
// the correctly rounded result (Clinger, "How to read floating point numbers accurately", 1990, the fast path). Beyond
// that the quotient is made bit by bit in integers and rounded once. More than 19 digits do not fit; the caller is told.

/** The integers up to here are exact floats. */
const EXACT_LIMIT: u64 = (<u64>1) << 53;

/** 10^19 is the largest power of ten, and 19 digits the longest number, that 64 bits always hold. */
export const DIGITS_LIMIT: u32 = 19;

/** The number `mantissa` / 10^`scale`, rounded to nearest, ties to even; `scale` ≤ 19. */
export function toFloat(mantissa: u64, scale: u32): f64 {
  if (mantissa <= EXACT_LIMIT) return <f64>mantissa / powerOfTenFloat(scale);
  return toFloatSlow(mantissa, scale);
}

function toFloatSlow(mantissa: u64, scale: u32): f64 {
  if (scale == 0) return <f64>mantissa;
  // Long division of mantissa · 2^64 by the divisor: 64 bits before the point, 64 after it.
  const divisor = powerOfTen(scale);
  let high = mantissa / divisor;
  let remainder = mantissa % divisor;
  let low: u64 = 0;
  for (let bit = 0; bit < 64; bit++) {
    // The remainder is below the divisor; doubled it may not fit 64 bits, which is then known from its top bit.
    const carry = remainder >> 63;
    remainder <<= 1;
    low <<= 1;
    if (carry || remainder >= divisor) {
      remainder -= divisor;
      low |= 1;
    }
  }
  // Shifted so that bit 63 of `high` is set: 64 significant bits. mantissa > 2^53 and divisor < 2^64, so at least
  // 2^−11 is represented, and 64 bits after the point leave 53 and more.
  const shift = high ? <u32>clz(high) : 64 + <u32>clz(low);
  if (shift >= 64) {
    high = low << (shift - 64);
    low = 0;
  } else if (shift) {
    high = (high << shift) | (low >> (64 - shift));
    low <<= shift;
  }
  const sticky: u64 = low | remainder ? 1 : 0;
  let significant = high >> 11;
  const rest = ((high & 0x7ff) << 1) | sticky;
  const half: u64 = 0x800;
  if (rest > half || (rest == half && significant & 1)) significant++;
  // significant · 2^(11 − shift): a product with a power of two is exact.
  return <f64>significant * powerOfTwo(11 - <i32>shift);
}

function powerOfTwo(exponent: i32): f64 {
  return reinterpret<f64>((<u64>(1023 + exponent)) << 52);
}

/** 10^exponent, exponent ≤ 19. */
function powerOfTen(exponent: u32): u64 {
  let power: u64 = 1;
  for (; exponent; exponent--) power *= 10;
  return power;
}

const FLOAT_POWERS = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
]);

/** 10^exponent as a float, which is exact up to 10^22. */
function powerOfTenFloat(exponent: u32): f64 {
  return load<f64>(FLOAT_POWERS + ((<usize>exponent) << 3));
}
