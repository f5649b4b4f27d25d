"""Calls of `lamina.ops` as text, over tensors with names."""

from __future__ import annotations

import builtins
import itertools
import re
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lamina import ops
from lamina.core.symbolic import SymbolicTensor

_starts = itertools.count(3.0)


def f(*shape: int) -> Tensor:
    """Numbers without a pattern, the same everywhere."""
    t = torch.arange(int(np.prod(shape)), dtype=torch.float64) * 1.618 + next(_starts)
    return (torch.sin(t * t) * 1.5).float().reshape(shape)


A, B = f(2, 3, 4), f(2, 3, 4)
A1, A2, B4 = f(1, 3, 1), f(3, 2), f(2, 4, 3)
P = f(2, 3, 4).abs() + 0.1
P1, S = P + 1, torch.tanh(A)
Z = torch.tensor([[[1.0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], [[0, 2, 0, 2], [3, 4, 3, 4], [3, 4, 3, 4]]])
NAN = torch.tensor([[1.0, float("nan"), float("inf")], [-float("inf"), 0.5, -2.0]])
NAN2 = torch.tensor([[1.0, float("nan"), 3.0], [float("nan")] * 3, [4.0, 0.5, -2.0]])
I = torch.tensor([[1, 2, 3], [4, 15, 6]], dtype=torch.int32)  # noqa: E741
I2 = torch.tensor([[2, 2, 1], [3, 3, 4]], dtype=torch.int32)
I0 = torch.arange(24, dtype=torch.int32).reshape(2, 3, 4)
I3 = I0 % 3
V, V2, V2T, M, L = f(5), f(1, 3), f(3, 2), f(3, 4), f(40)
C, C3 = torch.complex(f(2, 3), f(2, 3)), f(2, 3)
SPD = (lambda m: m @ m.T + torch.eye(3))(f(3, 3))
X, X5, S1 = f(2, 4, 6, 4), f(1, 4, 4, 4, 2), f(2, 7, 3)
XF = X.permute(0, 3, 1, 2).contiguous()
K, KG, KT, KD, KP, K1 = f(3, 3, 4, 5), f(3, 3, 2, 4), f(3, 3, 5, 4), f(3, 3, 4, 2), f(1, 1, 8, 3), f(3, 3, 2)
Q, KEY, VAL = f(2, 5, 4, 8), f(2, 6, 4, 8), f(2, 6, 4, 8)
MASK, BIAS = (f(2, 4, 5, 6) > 0.4) | (torch.arange(6) == 0), f(2, 4, 5, 6)
SM, LOG = torch.softmax(f(2, 3), -1), f(2, 5, 4)
U8 = (f(2, 4, 6, 3).abs() * 160).to(torch.uint8)
RGB, RGB12 = f(2, 5, 6, 3).abs() / 1.6, f(2, 12, 13, 3).abs() / 1.6
WARP = [[1.0, 0.2, 0.5, -0.1, 0.9, 1.0, 0.0, 0.0]] * 2
FROM = [[0.0, 0.0], [5.0, 0.0], [0.0, 3.0], [5.0, 3.0]]
TO = [[0.0, 0.5], [4.0, 0.0], [0.5, 3.0], [5.0, 2.5]]

TENSORS = {name: value for name, value in globals().items() if isinstance(value, Tensor)}
SETTING = {"torch": torch, "WARP": WARP, "FROM": FROM, "TO": TO}
OPS = {name: getattr(ops, name) for name in dir(ops) if not name.startswith("_")}

# Each call, and what Keras 3.15.1 on torch gives for it: type, shape and, in one number, all values (`sketch`).
RECORDED = """\
add(A, B) => float32[2,3,4] 9.39592
add(A, 2) => float32[2,3,4] 7.31779
add(I, 2.5) => float32[2,3] 6.31226
subtract(A, B) => float32[2,3,4] -0.0916972
subtract(3, A) => float32[2,3,4] -0.653596
multiply(A, 0.5) => float32[2,3,4] 2.32606
divide(I, I2) => float32[2,3] 2.20856
divide_no_nan(A, Z) => float32[2,3,4] 1.97428
true_divide(A, 2) => float32[2,3,4] 2.32606
floor_divide(I, 2) => int32[2,3] -0.198736
floor_divide(A, B) => float32[2,3,4] -7.47272
mod(I, 3) => int32[2,3] 2.92172
mod(A, -0.7) => float32[2,3,4] -0.016555
fmod(A, 0.7) => float32[2,3,4] 1.67565
power(I, 2) => int32[2,3] -27.3393
power(P, 1.5) => float32[2,3,4] 6.70859
maximum(A, 0.2) => float32[2,3,4] 3.64657
minimum(A, B) => float32[2,3,4] 4.11282
fmax(NAN, 0.0) => float32[2,3] 5.34898
fmin(NAN, 1.0) => float32[2,3] 1.34553
negative(A) => float32[2,3,4] -4.65211
absolute(A) => float32[2,3,4] 3.07487
abs(I) => int32[2,3] 1.0634
fabs(I) => float32[2,3] 1.0634
sign(A) => float32[2,3,4] 3.50203
square(I) => int32[2,3] -27.3393
reciprocal(P) => float32[2,3,4] -5.25893
clip(A, -0.5, 0.5) => float32[2,3,4] 1.93309
clip(I, 1, 2) => int32[2,3] 3.21903
clip(I, 0.5, 2.5) => float32[2,3] 3.35782
gcd(I, I2) => int32[2,3] 2.2624
lcm(I, I2) => int32[2,3] 1.33983
floor(A) => float32[2,3,4] 3.46359
ceil(A) => float32[2,3,4] 4.79643
ceil(I) => float32[2,3] 1.0634
trunc(A) => float32[2,3,4] 2.37899
round(A) => float32[2,3,4] 3.95486
round(A, 1) => float32[2,3,4] 4.59911
round(I, -1) => int32[2,3] -6.79046
equal(I, I2) => bool[2,3] 0.841901
not_equal(I, I2) => bool[2,3] 1.25765
greater(A, B) => bool[2,3,4] 1.87879
greater_equal(A, 0) => bool[2,3,4] 2.41743
less(A, B) => bool[2,3,4] -0.545946
less_equal(A, B) => bool[2,3,4] -0.545946
isclose(A, A) => bool[2,3,4] 1.33284
allclose(A, B) => bool[] 0
logical_and(A, Z) => bool[2,3,4] 5.02532
logical_or(A, Z) => bool[2,3,4] 1.33284
logical_xor(A, Z) => bool[2,3,4] -3.69248
logical_not(Z) => bool[2,3,4] -3.69248
isfinite(NAN) => bool[2,3] 0.410007
isinf(NAN) => bool[2,3] 0.847638
isnan(NAN) => bool[2,3] 0.841901
isneginf(NAN) => bool[2,3] 0.25785
isposinf(NAN) => bool[2,3] 0.589788
isreal(A) => bool[2,3,4] 1.33284
signbit(A) => bool[2,3,4] -1.0846
nan_to_num(NAN) => float32[2,3] 1.12953e+38
nan_to_num(NAN, 7.0, 8.0, 9.0) => float32[2,3] 14.78
heaviside(A, 0.5) => float32[2,3,4] 2.41743
bitwise_and(I, I2) => int32[2,3] 0.102339
bitwise_or(I, I2) => int32[2,3] 3.79708
bitwise_xor(I, I2) => int32[2,3] 3.69474
bitwise_not(I) => int32[2,3] -3.16294
bitwise_invert(I) => int32[2,3] -3.16294
left_shift(I, 2) => int32[2,3] 4.25358
right_shift(I, 1) => int32[2,3] -0.198736
bitwise_left_shift(I, I2) => int32[2,3] -34.896
bitwise_right_shift(I, I2) => int32[2,3] 0.480801
exp(A) => float32[2,3,4] 10.3176
exp2(A) => float32[2,3,4] 6.29323
expm1(A) => float32[2,3,4] 8.98479
log(P) => float32[2,3,4] 4.19687
log10(P) => float32[2,3,4] 1.82268
log1p(P) => float32[2,3,4] 2.75577
log2(P) => float32[2,3,4] 6.05481
logaddexp(A, B) => float32[2,3,4] 5.88042
logaddexp2(A, B) => float32[2,3,4] 6.24142
sqrt(P) => float32[2,3,4] 3.21896
sqrt(I) => float32[2,3] 2.15644
rsqrt(P) => float32[2,3,4] -1.1835
cbrt(A) => float32[2,3,4] 3.95285
hypot(A, B) => float32[2,3,4] 1.45268
ldexp(A, I3) => float32[2,3,4] 7.34512
nextafter(A, B) => float32[2,3,4] 4.65211
sin(A) => float32[2,3,4] 3.49814
cos(A) => float32[2,3,4] -0.735206
tan(A) => float32[2,3,4] 17.3259
arcsin(S) => float32[2,3,4] 3.75773
arccos(S) => float32[2,3,4] -1.66411
arctan(A) => float32[2,3,4] 3.33157
arctan2(A, B) => float32[2,3,4] 4.79035
sinh(A) => float32[2,3,4] 6.0274
cosh(A) => float32[2,3,4] 4.29024
tanh(A) => float32[2,3,4] 3.15189
arcsinh(A) => float32[2,3,4] 3.8928
arccosh(P1) => float32[2,3,4] 3.96464
arctanh(S) => float32[2,3,4] 4.65211
sinc(A) => float32[2,3,4] -1.42374
deg2rad(A) => float32[2,3,4] 0.0811947
rad2deg(A) => float32[2,3,4] 266.546
i0(A) => float32[2,3,4] 2.75001
erf(A) => float32[2,3,4] 3.42833
erfc(A) => float32[2,3,4] -2.09549
erfinv(S) => float32[2,3,4] 3.76679
real(C) => float32[2,3] 1.68008
imag(C) => float32[2,3] -2.08109
conj(C) => complex64[2,3] 3.76117
conjugate(A) => float32[2,3,4] 4.65211
angle(C) => float32[2,3] -3.07835
angle(A) => float32[2,3,4] -3.40736
polar(P, A) => complex64[2,3,4] 5.71989
view_as_complex(A2) => complex64[3] -3.22916
view_as_real(C) => float32[2,3,2] 3.26497
sum(A) => float32[] 1.14173
sum(A, 1) => float32[2,4] -1.49816
sum(A, (0, 2), True) => float32[1,3,1] 0.992141
sum(I, 0) => int32[3] 24.5207
sum(A > 0) => int32[] 11.7608
mean(A, -1) => float32[2,3] -0.324938
mean(I) => float32[] 5.06368
mean(A, axis=(0, 1), keepdims=True) => float32[1,1,4] 0.195828
var(A, 1) => float32[2,4] -0.156353
std(A, axis=(0, 1)) => float32[4] 2.62423
prod(A, 1) => float32[2,4] -0.737784
prod(A, (0, 2)) => float32[3] 4.69874
prod(I) => int32[] 2116.94
prod(A, axis=(0, 2), keepdims=True) => float32[1,3,1] 4.69874
average(A, 1) => float32[2,4] -0.499388
logsumexp(A) => float32[] 3.64476
logsumexp(A, (0, 2), True) => float32[1,3,1] 6.33435
count_nonzero(Z) => int32[] 11.7608
trapezoid(A) => float32[2,3] -0.642715
trapezoid(V, x=[0.0, 1.0, 3.0, 4.0, 6.0], dx=1.0) => float32[] -2.95912
trapezoid(A, dx=0.5, axis=0) => float32[3,4] -0.0130387
any(Z) => bool[] 0.980067
any(Z, 1) => bool[2,4] -0.689785
any(Z, (0, 1), True) => bool[1,1,4] 2.66961
all(Z, -1) => bool[2,3] -0.570059
all(A, keepdims=True) => bool[1,1,1] 0.980067
max(A) => float32[] 1.46729
max(A, 1) => float32[2,4] -0.187421
max(A, (0, 1), True) => float32[1,1,4] 3.51539
max(A, 1, initial=0.3) => float32[2,4] 0.175126
min(A, 2) => float32[2,3] -3.03068
min(I) => int32[] 0.980067
min(A, initial=-5.0) => float32[] -4.90033
amax(A, 1) => float32[2,4] -0.187421
amin(A, 1, True) => float32[2,1,4] -0.604331
ptp(A, 1) => float32[2,4] 0.41691
ptp(A) => float32[] 2.9233
argmax(A) => int32[] 17.6412
argmax(A, 1) => int32[2,4] -0.87286
argmax(A, 1, True) => int32[2,1,4] -0.87286
argmax(A, keepdims=True) => int32[1,1,1] 17.6412
argmin(A, -1) => int32[2,3] 6.44799
nansum(NAN, 1) => float32[2] 1.03624
nanprod(NAN, 1) => float32[2] 13.6648
nanmean(NAN, 1) => float32[2] 1.03624
nanvar(NAN2, 1) => float32[3] 7.49821
nanstd(NAN2, 1) => float32[3] 5.37807
nanmax(NAN2, 1) => float32[3] 8.24601
nanmin(NAN2, 1) => float32[3] 2.74714
nanargmax(NAN2, 1) => int32[3] 1.11823
nanargmin(NAN2, 1) => int32[3] 0.337675
nanmedian(NAN2, 1) => float32[3] 5.20168
nanquantile(NAN2, 0.3, 1) => float32[3] 4.21987
nanpercentile(NAN2, 30.0, 1) => float32[3] 4.21987
nancumsum(NAN2, 1) => float32[3,3] -5.54619
nancumprod(NAN2, 1) => float32[3,3] 2.39778
cumsum(A) => float32[24] -9.7632
cumsum(A, 1) => float32[2,3,4] -0.608092
cumsum(I, 0, "float32") => float32[2,3] -0.279946
cumprod(A, 1) => float32[2,3,4] 0.521325
cumsum(A > 0, 1) => int32[2,3,4] -4.06356
diff(A) => float32[2,3,3] 1.11557
diff(A, 2, 1) => float32[2,1,4] 7.69822
sort(A) => float32[2,3,4] 2.07121
sort(A, 0) => float32[2,3,4] 8.08814
argsort(A) => int32[2,3,4] 0.860456
argsort(A, 0) => int32[2,3,4] 2.41743
argsort(A, None) => int32[24] 12.4619
in_top_k([1, 0, 2], [[0.1, 0.5, 0.2], [0.5, 0.5, 0.9], [0.3, 0.2, 0.1]], 1) => bool[3] 0.980067
in_top_k([1, 0, 2], [[0.1, 0.5, 0.2], [0.5, 0.5, 0.9], [0.3, 0.2, 0.1]], 2) => bool[3] 1.82197
searchsorted([1.0, 2.0, 3.0], [0.5, 2.0, 9.0]) => int32[3] 2.61127
searchsorted([1.0, 2.0, 3.0], [0.5, 2.0, 9.0], side="right") => int32[3] 3.45317
digitize([0.2, 1.0, 5.0], [0.0, 1.0, 2.5]) => int32[3] 4.43323
quantile(A, 0.3) => float32[] -0.697826
quantile(A, [0.3, 0.7], axis=1) => float32[2,2,4] -0.289246
quantile(A, 0.3, axis=(0, 1), keepdims=True) => float32[1,1,4] -1.57175
quantile(A, 0.3, axis=1, method="nearest") => float32[2,4] -0.706411
quantile(A, 0.3, axis=1, method="lower") => float32[2,4] -0.604331
quantile(A, [0.3, 0.7], axis=1, keepdims=True) => float32[2,2,1,4] -0.289246
percentile(A, 30.0, axis=1) => float32[2,4] -0.665579
median(A) => float32[] 0.16961
median(A, 1, True) => float32[2,1,4] -0.706411
median(A, axis=(0, 2)) => float32[3] 0.40031
bincount([1, 3, 1]) => int32[4] 1.94165
bincount([1, 3, 1], weights=[0.5, 1.0, 2.0], minlength=6) => float32[6] 2.3626
bincount([[1, 3, 1], [0, 0, 1]], weights=[[1.0, 2.0, 3.0], [0.5, 1.0, 2.0]], minlength=5) => float32[2,5] 1.69019
histogram([1.0, 2.0, 2.0, 5.0], bins=3) => float32[3] 3.52999; float32[4] 6.39631
histogram([1.0, 2.0, 2.0, 5.0], bins=3, range=(0, 3)) => float32[3] 2.02148; float32[4] 2.79503
histogram([2.0, 2.0], bins=3) => float32[3] 1.6838; float32[4] 4.93608
unique([3, 1, 1]) => int32[2] 3.50577
unique([3, 1, 1], size=4, fill_value=9) => int32[4] 11.1345
unique([3, 1, 1], size=1) => int32[1] 0.980067
isin([1, 2, 3], [2, 5]) => bool[3] 0.841901
isin([1, 2, 3], [2, 5], invert=True) => bool[3] 1.56985
corrcoef(M) => float32[3,3] -0.516564
correlate(V, [1.0, 2.0, 0.5]) => float32[3] -6.48133
correlate(V, [1.0, 2.0, 0.5], mode="same") => float32[5] -6.92915
correlate(V, [1.0, 2.0, 0.5], mode="full") => float32[7] -5.77609
correlate([1.0, 2.0, 0.5], V, mode="full") => float32[7] 1.68406
correlate(V, [1.0, 2.0, 0.5, 4.0], mode="same") => float32[5] -11.1416
correlate([1.0, 2.0, 0.5, 4.0], V, mode="valid") => float32[2] -3.59418
segment_sum(M, torch.tensor([0, 0, 2]), num_segments=4) => float32[4,4] -1.2406
segment_sum(M, torch.tensor([0, -1, 2])) => float32[3,4] -3.65671
segment_max(M, torch.tensor([0, 0, 2]), num_segments=4) => float32[4,4] 4.3078
segment_min(M, torch.tensor([0, 0, 2]), num_segments=4) => float32[4,4] -8.43952
segment_prod(M, torch.tensor([0, 0, 2]), num_segments=4) => float32[4,4] -4.96598
arange(5) => int32[5] 2.35908
arange(1, 7, 2) => int32[3] 6.45471
arange(0.0, 1.0, 0.25) => float32[4] 0.698757
arange(3, dtype="float32") => float32[3] 2.02148
linspace(0, 1, 5) => float32[5] 0.58977
linspace(0, 10, 4, endpoint=False) => float32[4] 6.98757
linspace(0, 10, 4, dtype="int32") => int32[4] 8.64293
linspace(0, 10, 1) => float32[1] 0
logspace(0, 2, 4) => float32[4] 43.3794
logspace(0, 2, 4, base=2, endpoint=False) => float32[4] 4.07958
geomspace(1, 100, 5) => float32[5] 6.79553
geomspace(-1.0, -100.0, 5, endpoint=False) => float32[5] -6.56394
meshgrid([1, 2], [3, 4, 5]) => int32[3,2] 2.73822; int32[3,2] 6.00616
meshgrid([1, 2], [3, 4, 5], indexing="ij") => int32[2,3] 1.78734; int32[2,3] 7.28898
bartlett(5) => float32[5] 1.13966
blackman(5) => float32[5] 0.963703
hamming(5) => float32[5] 1.25334
hanning(5) => float32[5] 1.13966
kaiser(5, 3.0) => float32[5] 1.5677
hanning(1) => float32[1] 0.980067
eye(3) => float32[3,3] -0.128751
eye(2, 4, 1, "int32") => int32[2,4] 0.0911464
identity(2) => float32[2,2] 1.23792
tri(3, 4, 1) => float32[3,4] -2.57822
tril(M) => float32[3,4] -3.86934
triu(M, 1) => float32[3,4] 0.17497
diag(V) => float32[5,5] -1.62783
diag(M, 1) => float32[3] 0.664562
diagflat(M) => float32[12,12] 1.5295
diagonal(A) => float32[4,2] -0.907762
diagonal(A, 1, 1, 2) => float32[2,3] -1.83021
trace(A) => float32[4] 2.58352
trace(I) => int32[] 15.6811
trace(M, 1) => float32[] 1.19855
vander(V) => float32[5,5] -2.99304
vander(V, 3, increasing=True) => float32[5,3] -0.387762
one_hot([0, 2], 3) => float32[2,3] 0.518994
one_hot([[0, 2]], 3, axis=1) => float32[1,3,2] 0.518994
one_hot([[0, 2]], 3, axis=0, dtype="int32") => int32[3,1,2] 0.518994
multi_hot([[0, 1], [2, 2]], 3) => float32[2,3] 1.36089
multi_hot([0, 1], 3) => float32[3] 1.82197
multi_hot([[0, 1], [2, 2]], 3, axis=1) => float32[2,2] 2.66961
multi_hot([[[0, 1], [2, 2]]], 4) => float32[1,2,4] 0.358027
zeros((2, 3)) => float32[2,3] 0
ones(3, "int32") => int32[3] 2.41176
full((2,), 7) => float32[2] 12.7538
full((2, 2), [1.0, 2.0]) => float32[2,2] 3.76936
zeros_like(I) => int32[2,3] 0
ones_like(A, "int32") => int32[2,3,4] 1.33284
full_like(A, 3) => float32[2,3,4] 3.99852
cast(A, "int32") => int32[2,3,4] 2.37899
cast([1, 0], "bool") => bool[2] 0.980067
saturate_cast(torch.tensor([300.0, -5.0, 7.6]), "uint8") => uint8[3] 254.045
view([1.0, 2.0], "int32") => int32[2] 1.9481e+09
array([1, 2.5]) => float32[2] 3.08482
convert_to_tensor([1, 2]) => int32[2] 2.66387
convert_to_tensor([[1.0]], "float16") => float16[1,1] 0.980067
reshape(A, (4, -1)) => float32[4,6] 4.65211
ravel(A) => float32[24] 4.65211
broadcast_to(V, (2, 5)) => float32[2,5] -0.655983
expand_dims(A, 1) => float32[2,1,3,4] 4.65211
expand_dims(A, (0, -1)) => float32[1,2,3,4,1] 4.65211
expand_dims(A, [1, 2]) => float32[2,1,1,3,4] 4.65211
squeeze(A1) => float32[3] -1.27447
squeeze(A1, 0) => float32[3,1] -1.27447
squeeze(A1, (0, 2)) => float32[3] -1.27447
transpose(A) => float32[4,3,2] -0.555989
transpose(A, (0, 2, 1)) => float32[2,4,3] 2.74848
swapaxes(A, 0, 2) => float32[4,3,2] -0.555989
moveaxis(A, 0, -1) => float32[3,4,2] 2.05145
moveaxis(A, (0, 1), (1, 0)) => float32[3,2,4] 4.46923
rearrange(A, "a b c -> c (a b)") => float32[4,6] -2.00554
rearrange(A, "a b (c d) -> a (b d) c", d=2) => float32[2,6,2] 5.79414
flip(A) => float32[2,3,4] -1.52661
flip(A, 1) => float32[2,3,4] 3.53088
flip(A, (0, 1)) => float32[2,3,4] -3.44865
fliplr(A) => float32[2,3,4] 3.53088
flipud(A) => float32[2,3,4] -4.18388
rot90(A) => float32[3,2,4] 4.3695
rot90(A, 3, (1, 2)) => float32[2,4,3] 3.1527
roll(A, 1) => float32[2,3,4] 4.45816
roll(A, 2, 1) => float32[2,3,4] 1.43513
roll(A, (1, 2), (0, 1)) => float32[2,3,4] -0.750516
tile(M, 2) => float32[3,8] -2.73538
tile(M, (2, 1, 3)) => float32[2,3,12] 9.05779
repeat(M, 2) => float32[24] -8.3127
repeat(M, 2, 1) => float32[3,8] -8.3127
concatenate([A, B], 1) => float32[2,6,4] 11.1224
concatenate([I, V2], 0) => float32[3,3] 2.48673
stack([A, B]) => float32[2,2,3,4] -1.92274
stack([I, I2], -1) => int32[2,3,2] -26.0904
append(A, B) => float32[48] -1.92274
append(A, B, 1) => float32[2,6,4] 11.1224
hstack([A, B]) => float32[2,6,4] 11.1224
vstack([V, V]) => float32[2,5] -0.655983
dstack([M, M]) => float32[3,4,2] -8.3127
hstack([V, V]) => float32[10] -0.655983
split(A, 3, 1) => float32[2,1,4] 2.17279; float32[2,1,4] -3.06546; float32[2,1,4] -0.605497
split(A, [1, 2], 1) => float32[2,1,4] 2.17279; float32[2,1,4] -3.06546; float32[2,1,4] -0.605497
array_split(V, 3) => float32[2] -1.36544; float32[2] -1.66288; float32[1] 0.856263
hsplit(A, 3) => float32[2,1,4] 2.17279; float32[2,1,4] -3.06546; float32[2,1,4] -0.605497
vsplit(A, 2) => float32[1,3,4] 4.04478; float32[1,3,4] -4.09693
dsplit(A, 2) => float32[2,3,2] 3.39855; float32[2,3,2] -4.14841
unstack(A, axis=1) => float32[2,4] 2.17279; float32[2,4] -3.06546; float32[2,4] -0.605497
pad(M, ((1, 2), (0, 1))) => float32[6,5] 1.31096
pad(M, ((1, 2), (0, 1)), constant_values=5) => float32[6,5] -10.293
pad(A, ((0, 0), (1, 1), (2, 0)), "reflect") => float32[2,5,6] -5.32211
where(A > 0, A, 0.0) => float32[2,3,4] 3.86349
where(A > 0, 1, 2) => int32[2,3,4] 0.248244
where(A > 0, I0, A) => float32[2,3,4] 14.1434
select([A > 0.5, A > 0], [A, 2 * A], 0.5) => float32[2,3,4] 2.93873
select([A > 0.5, A > 0], [A, B]) => float32[2,3,4] 5.65136
get_item(A, 1) => float32[3,4] -4.09693
get_item(A, (0, slice(None), 1)) => float32[3] 0.800718
take(A, [0, 2], 1) => float32[2,2,4] 5.4204
take(A, [[0, -1], [1, 1]], 2) => float32[2,3,2,2] 3.73624
take(A, 3) => float32[] -1.33977
take(A, [3, 5]) => float32[2] -1.90717
take(A, 1, axis=1) => float32[2,4] -3.06546
take_along_axis(A, [[[0], [1], [0]], [[1], [1], [0]]], 2) => float32[2,3,1] 0.017285
nonzero(Z) => int32[3,12] -0.510101
unravel_index([3, 5], (2, 3)) => int32[2] 1.82197; int32[2] 1.6838
slice(A, (0, 1, 1), (2, 2, 2)) => float32[2,2,2] -2.24725
slice_update(A, (0, 1, 0), [[[9.0], [8.0]]]) => float32[2,3,4] -3.78421
scatter([[0], [2], [0]], [1.0, 2.0, 3.0], (4,)) => float32[4] 5.09984
scatter([[0, 1], [2, 2]], [1.0, 2.0], (3, 3)) => float32[3,3] -1.15776
scatter_update(M, [[0, 1], [2, 2]], [7.0, 8.0]) => float32[3,4] -2.7773
scatter_update(M, [[0, 1], [2, 2]], [7.0, 8.0], reduction="add") => float32[3,4] -3.60852
scatter_update(M, [[0, 1], [2, 2]], [0.1, 0.2], reduction="max") => float32[3,4] -3.48919
scatter_update(M, [[0, 1], [2, 2]], [0.1, 0.2], reduction="min") => float32[3,4] -3.12933
scatter_update(M, [[0, 1], [0, 1]], [2.0, 3.0], reduction="mul") => float32[3,4] -4.29934
scatter_update(M, [[0], [2]], [[1.0, 2.0, 3.0, 4.0], [4.0, 5.0, 6.0, 7.0]]) => float32[3,4] -10.5522
depth_to_space(X, 2) => float32[2,8,12,1] 54.1567
space_to_depth(X, 2) => float32[2,2,3,16] -23.9962
depth_to_space(XF, 2, "channels_first") => float32[2,1,8,12] 54.1567
space_to_depth(XF, 2, "channels_first") => float32[2,16,2,3] -9.25736
extract_sequences(V, 3, 1) => float32[3,3] -1.4042
extract_sequences(A, 2, 2) => float32[2,3,2,2] 4.65211
matmul(A, moveaxis(B, 1, 2)) => float32[2,3,3] -2.68954
matmul(V, V) => float32[] 3.78716
matmul(I, transpose(I2)) => int32[2,2] 73.337
matmul(I, V2T) => float32[2,2] 18.8183
dot(A, transpose(M)) => float32[2,3,3] 1.832
dot(V, V) => float32[] 3.78716
dot(A, 2.0) => float32[2,3,4] 9.30423
inner(A, B) => float32[2,3,2,3] -4.52317
outer(V, V) => float32[5,5] 0.50481
kron(M, M) => float32[9,16] 17.2704
cross([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) => float32[3] 0.341842
tensordot(A, B, 3) => float32[] 2.08259
tensordot(A, B, ((1, 2), (1, 2))) => float32[2,2] 0.0368243
tensordot(A, M, axes=[[2], [1]]) => float32[2,3,3] 1.832
einsum("abc,abd->acd", A, B) => float32[2,4,4] 2.9688
einsum("ij->ji", M) => float32[4,3] -2.16433
cdist(M, M) => float32[3,3] -0.212367
cholesky(SPD) => float32[3,3] 1.77309
cholesky(SPD, upper=True) => float32[3,3] -0.60613
cholesky_inverse(cholesky(SPD)) => float32[3,3] -0.0268059
lu_factor(SPD) => float32[3,3] 0.328411; int32[3] 2.02148
qr(M) => float32[3,3] -0.511478; float32[3,4] 5.12581
qr(M, mode="complete") => float32[3,3] -0.511478; float32[3,4] 5.12581
svd(M, compute_uv=False) => float32[3] 4.98357
eigh(SPD)[0] => float32[3] 10.1688
eig(SPD)[0] => complex64[3] 11.1207
det(SPD) => float32[] 42.5203
slogdet(SPD) => float32[] 0.980067; float32[] 3.69497
logdet(SPD) => float32[] 3.69497
inv(SPD) => float32[3,3] -0.0268059
pinv(M) => float32[4,3] 0.442371
matrix_rank(M) => int32[] 2.9402
solve(SPD, [1.0, 2.0, 3.0]) => float32[3] 3.28922
solve(SPD, transpose(M)[:3]) => float32[3,3] -0.528921
solve_triangular(SPD, [[1.0], [2.0], [3.0]], lower=True) => float32[3,1] 1.00647
lstsq(transpose(M), [1.0, 2.0, 3.0, 4.0]) => float32[3] 0.290392
norm(A) => float32[] 5.16787
norm(A, axis=1) => float32[2,4] 0.0225945
norm(M, ord="nuc") => float32[] 5.61007
norm(M, ord=2) => float32[] 2.5591
norm(M, ord="fro") => float32[] 3.51634
norm(M, ord=1) => float32[] 3.60194
norm(A, ord=1, axis=1) => float32[2,4] -0.257946
norm(A, ord=float("inf"), axis=1, keepdims=True) => float32[2,1,4] 0.32032
norm(A, ord=3, axis=-1) => float32[2,3] 3.91049
norm(A, ord=2, axis=(0, 1)) => float32[4] 6.40795
norm(V, ord=0) => float32[] 4.90033
norm(I) => float32[] 16.7187
fft((A, B)) => float32[2,3,4] -6.95924; float32[2,3,4] 11.2778
fft2((A, B)) => float32[2,3,4] 11.6127; float32[2,3,4] 5.86898
ifft2((A, B)) => float32[2,3,4] -0.659029; float32[2,3,4] -0.0116548
rfft(A) => float32[2,3,3] -0.855488; float32[2,3,3] 0.930597
rfft(A, 6) => float32[2,3,4] -6.99219; float32[2,3,4] -3.17297
irfft((A, B)) => float32[2,3,6] -0.21002
irfft((A, B), 4) => float32[2,3,4] -2.72541
stft(L, 8, 4, 16) => float32[11,9] 1.83855; float32[11,9] -0.438528
stft(L, 8, 4, 8, window="hamming", center=False) => float32[9,5] -2.04991; float32[9,5] 0.201169
stft(stack([L, L])[None], 8, 4, 8, window=None) => float32[1,2,11,5] -12.6368; float32[1,2,11,5] 3.38255
istft(stft(L, 8, 4, 8), 8, 4, 8) => float32[40] -1.21665
istft(stft(L, 8, 4, 16), 8, 4, 16) => float32[40] -1.21665
istft(stft(L, 8, 4, 8, center=False), 8, 4, 8, center=False) => float32[40] -0.974547
istft(stft(L, 8, 4, 16), 8, 4, 16, length=20) => float32[20] -0.680444
istft(stft(L, 8, 4, 8), 8, 4, 8, length=20) => float32[20] -0.680445
istft(stft(L, 8, 4, 8, window=None), 8, 4, 8, window=None) => float32[40] -2.43331
relu(A) => float32[2,3,4] 3.86349
relu6(5 * A) => float32[2,3,4] 16.982
leaky_relu(A) => float32[2,3,4] 4.02121
elu(A, 0.5) => float32[2,3,4] 4.1581
selu(A) => float32[2,3,4] 5.09528
celu(A, 0.7) => float32[2,3,4] 4.38576
gelu(A) => float32[2,3,4] 3.77439
gelu(A, False) => float32[2,3,4] 3.77495
silu(A) => float32[2,3,4] 3.38348
hard_silu(A) => float32[2,3,4] 3.15327
sigmoid(A) => float32[2,3,4] 1.69528
hard_sigmoid(A) => float32[2,3,4] 1.44177
log_sigmoid(A) => float32[2,3,4] 0.830532
sparse_sigmoid(A) => float32[2,3,4] 2.52708
hard_tanh(A) => float32[2,3,4] 3.72132
tanh_shrink(A) => float32[2,3,4] 1.50022
hard_shrink(A) => float32[2,3,4] 4.69645
soft_shrink(A) => float32[2,3,4] 2.71902
softplus(A) => float32[2,3,4] 3.82158
squareplus(A) => float32[2,3,4] 4.21268
sparse_plus(A) => float32[2,3,4] 3.78068
softsign(A) => float32[2,3,4] 2.06962
threshold(A, 0.1, 9.0) => float32[2,3,4] -5.89787
glu(A) => float32[2,3,2] 1.89462
glu(A, 2) => float32[2,3,2] 1.89462
softmax(A) => float32[2,3,4] 0.585738
softmax(A, 1) => float32[2,3,4] 1.63876
softmax(A, (1, 2)) => float32[2,3,4] 0.467591
softmax(A, None) => float32[2,3,4] 0.250315
log_softmax(A, 0) => float32[2,3,4] 1.9953
log_softmax(A, (1, 2)) => float32[2,3,4] -0.0190292
log_softmax(A, None) => float32[2,3,4] -0.304571
sparsemax(A) => float32[2,3,4] 0.400135
conv(X, K) => float32[2,2,4,5] -6.88901
conv(X, K, 2, "same") => float32[2,2,3,5] 22.8468
conv(X, K, 1, "same", dilation_rate=2) => float32[2,4,6,5] -37.0511
conv(XF, K, 2, "same", "channels_first") => float32[2,5,2,3] -23.6984
conv(X, KG) => float32[2,2,4,4] -2.0586
conv(S1, K1, padding="same", strides=2) => float32[2,4,2] 13.4431
conv_transpose(X, KT, 2) => float32[2,9,13,5] 277.055
conv_transpose(X, KT, 2, "same") => float32[2,8,12,5] -83.3767
conv_transpose(X, KT, 2, "same", output_padding=1) => float32[2,8,12,5] -83.3767
conv_transpose(XF, KT, 2, "valid", None, "channels_first") => float32[2,5,9,13] 40.1211
depthwise_conv(X, KD) => float32[2,2,4,8] 2.49346
depthwise_conv(X, KD, 2, "same") => float32[2,2,3,8] -1.89191
separable_conv(X, KD, KP) => float32[2,2,4,3] -71.0961
max_pool(X, 2) => float32[2,2,3,4] 1.05665
max_pool(X, 3, 2, "same") => float32[2,2,3,4] -1.51138
max_pool(XF, 2, 1, "same", "channels_first") => float32[2,4,4,6] -1.08875
average_pool(X, 2) => float32[2,2,3,4] 0.436475
average_pool(S1, 2, 1, "same") => float32[2,7,3] -0.0312774
adaptive_average_pool(X, 3) => float32[2,3,3,4] 0.114214
adaptive_max_pool(X, (2, 3)) => float32[2,2,3,4] 1.05665
unfold(XF, 2) => float32[2,16,15] 2.50296
fold(unfold(XF, 2, stride=2), (4, 6), 2, stride=2) => float32[2,4,4,6] 10.1221
normalize(A) => float32[2,3,4] 1.62706
normalize(A, 1, 1) => float32[2,3,4] 1.04077
normalize(A, (0, 1)) => float32[2,3,4] 1.5337
moments(A, 1) => float32[2,4] -0.499388; float32[2,4] -0.156353
moments(A, (0, 1), True) => float32[1,1,4] 0.195828; float32[1,1,4] 2.66615
moments(A, [0, 2]) => float32[3] 0.124018; float32[3] 2.90928
batch_normalization(A, [0.1, 0.2, 0.3], [1.0, 2.0, 3.0], 1) => float32[2,3,4] 4.10124
batch_normalization(A, [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0], -1, [1.0, 2.0, 3.0, 4.0], [0.5, 1.0, 1.5, 2.0], 0.01)
  => float32[2,3,4] 5.51778
layer_normalization(A) => float32[2,3,4] 0.13576
layer_normalization(A, [1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.1, 0.2]) => float32[2,3,4] 7.90075
layer_normalization(A, axis=(1, 2)) => float32[2,3,4] 3.5104
layer_normalization(A, rms_scaling=True) => float32[2,3,4] 3.66023
rms_normalization(A) => float32[2,3,4] 3.25412
rms_normalization(A, [1.0, 2.0, 3.0, 4.0], epsilon=0.01) => float32[2,3,4] 13.1894
rms_normalization(A, axis=(1, 2)) => float32[2,3,4] 4.32198
dot_product_attention(Q, KEY, VAL) => float32[2,5,4,8] -2.44572
dot_product_attention(Q, KEY, VAL, is_causal=True, scale=0.3) => float32[2,5,4,8] 6.24514
dot_product_attention(Q, KEY, VAL, mask=MASK) => float32[2,5,4,8] -7.55292
dot_product_attention(Q, KEY, VAL, mask=MASK, is_causal=True) => float32[2,5,4,8] 3.91131
dot_product_attention(Q, KEY, VAL, bias=BIAS) => float32[2,5,4,8] 4.36858
dot_product_attention(Q, KEY[:, :, :1], VAL[:, :, :1]) => float32[2,5,4,8] 1.11613
binary_crossentropy([0.0, 1.0, 1.0], [0.2, 0.7, 0.4]) => float32[3] 1.0594
binary_crossentropy([0.0, 1.0, 1.0], [0.2, 0.7, -0.4], from_logits=True) => float32[3] 1.66016
categorical_crossentropy(one_hot([0, 2], 3), SM) => float32[2] 3.12355
categorical_crossentropy(one_hot([0, 2], 3), SM, from_logits=True) => float32[2] 2.12255
categorical_crossentropy(transpose(one_hot([0, 2], 3)), transpose(SM), axis=0) => float32[2] 3.12355
sparse_categorical_crossentropy([0, 2], SM) => float32[2] 3.12355
sparse_categorical_crossentropy([[0], [2]], SM, from_logits=True) => float32[2] 2.12255
ctc_loss([[1, 2, 1], [1, 2, 2]], LOG, [3, 2], [5, 4]) => float32[2] 7.97424
ctc_loss([[1, 2, 1], [1, 2, 2]], LOG, [3, 2], [5, 4], mask_index=3) => float32[2] 10.3212
ctc_decode(LOG, [5, 4]) => int32[1,2,5] 0.979033; float32[2,1] -7.58246
ctc_decode(LOG, [5, 4], merge_repeated=False) => int32[1,2,5] 0.979033; float32[2,1] -7.58246
ctc_decode(LOG, [5, 4], strategy="beam_search", beam_width=3, top_paths=2)
  => int32[2,2,5] 5.93446; float32[2,2] -5.28213
ctc_decode(LOG, [5, 4], strategy="beam_search") => int32[1,2,5] 4.73433; float32[2,1] -3.41968
psnr(A, B, 1.0) => float32[] -3.05931
cond(True, lambda: A, lambda: B) => float32[2,3,4] 4.65211
switch(1, [lambda x: x, lambda x: 2 * x], A) => float32[2,3,4] 9.30423
switch(7, [lambda x: x, lambda x: 2 * x], A) => float32[2,3,4] 9.30423
while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, A)) => int32[] 2.9402; float32[2,3,4] 37.2169
while_loop(lambda i: i < 30, lambda i: i + 1, 0, maximum_iterations=4) => int32[] 3.92027
fori_loop(0, 3, lambda i, x: x + i, A) => float32[2,3,4] 8.65063
scan(lambda c, x: (c + x, c * x), 0.0, V) => float32[] -2.30466; float32[5] 2.17943
scan(lambda c, x: (c + x, c * x), 0.0, V, reverse=True) => float32[] -2.30466; float32[5] 1.25325
scan(lambda c, x: (c + 1, c), 0.0, length=3) => float32[] 2.9402; float32[3] 2.02148
map(lambda x: x * 2, V) => float32[5] -4.70487
vectorized_map(lambda x: sum(x), A) => float32[2] 0.858236
vectorize(lambda a, b: a + b)(V, 2.0) => float32[5] 2.7688
associative_scan(lambda a, b: a + b, V) => float32[5] -4.38022
associative_scan(lambda a, b: a * b, M, reverse=True, axis=1) => float32[3,4] -3.09095
stop_gradient(A) => float32[2,3,4] 4.65211
jvp(lambda x: x * x, (V,), (V,)) => float32[5] 2.09914; float32[5] 4.19829
image.resize(X, (3, 5)) => float32[2,3,5,4] 4.94911
image.resize(X, (9, 8), "nearest") => float32[2,9,8,4] -19.5392
image.resize(X, (2, 3), "nearest") => float32[2,2,3,4] 3.47259
image.resize(X, (9, 8), "bicubic") => float32[2,9,8,4] -24.7335
image.resize(X, (2, 3), antialias=True) => float32[2,2,3,4] 0.52789
image.resize(X, (2, 3), "bicubic", antialias=True) => float32[2,2,3,4] 0.692116
image.resize(X, (3, 3), crop_to_aspect_ratio=True) => float32[2,3,3,4] 1.62617
image.resize(X, (5, 3), pad_to_aspect_ratio=True, fill_value=2.0) => float32[2,5,3,4] 0.828146
image.resize(X[0], (3, 3)) => float32[3,3,4] 1.66141
image.resize(XF, (3, 3), data_format="channels_first") => float32[2,4,3,3] -0.367344
image.resize(U8, (3, 5)) => uint8[2,3,5,3] 323.169
image.resize(U8, (3, 5), "nearest") => uint8[2,3,5,3] 336.528
image.rgb_to_grayscale(RGB) => float32[2,5,6,1] -0.257036
image.rgb_to_hsv(RGB) => float32[2,5,6,3] -0.933126
image.hsv_to_rgb(RGB) => float32[2,5,6,3] -0.878897
image.rgb_to_hsv(moveaxis(RGB, -1, 1), "channels_first") => float32[2,3,5,6] -0.196057
image.pad_images(X, 1, 2, target_height=8, right_padding=1) => float32[2,8,9,4] -3.77964
image.crop_images(X, 1, 2, target_height=2, right_cropping=1) => float32[2,2,3,4] -6.95206
image.crop_images(X, bottom_cropping=1, right_cropping=1, target_height=2, target_width=3)
  => float32[2,2,3,4] -6.95206
image.extract_patches(X, 2) => float32[2,2,3,16] -23.9962
image.extract_patches(X, (2, 3), 1, 1, "same") => float32[2,4,6,24] 47.5689
image.extract_patches(X, 2, 1, 2) => float32[2,2,4,16] -1.07653
image.extract_patches(XF, 2, data_format="channels_first") => float32[2,16,2,3] -9.38696
image.extract_patches(X[0], 2) => float32[2,3,16] -6.57778
image.extract_patches_3d(X5, 2) => float32[1,2,2,2,16] 1.95387
image.affine_transform(X, WARP) => float32[2,4,6,4] -3.54256
image.affine_transform(X, WARP, "nearest", "reflect") => float32[2,4,6,4] -10.2295
image.affine_transform(X, WARP, "bilinear", "wrap") => float32[2,4,6,4] -3.19147
image.affine_transform(X, WARP, "bilinear", "mirror") => float32[2,4,6,4] -4.05637
image.affine_transform(XF, WARP, "bilinear", "nearest", data_format="channels_first") => float32[2,4,4,6] -5.4317
image.perspective_transform(X, FROM, TO) => float32[2,4,6,4] 7.91136
image.map_coordinates(M, [[0.5, 1.2, 5.0], [0.0, 1.5, 1.0]], 1) => float32[3] 1.03614
image.map_coordinates(M, [[0.5, 1.2, 5.0], [0.0, 1.5, 1.0]], 0, "nearest") => float32[3] 0.132761
image.map_coordinates(I, [[0.5, 0.2], [0.0, 1.5]], 1, "reflect") => int32[2] 5.32774
image.map_coordinates(M, [[0.5, 1.2, -5.0], [0.0, 1.5, 1.0]], 1, "wrap") => float32[3] 1.91751
image.gaussian_blur(RGB, data_format="channels_last") => float32[2,5,6,3] 0.220499
image.gaussian_blur(RGB, (5, 5), (2.0, 0.7), data_format="channels_last") => float32[2,5,6,3] 0.813116
image.gaussian_blur(moveaxis(RGB, -1, 1), (3, 3), (1.0, 2.0), data_format="channels_first")
  => float32[2,3,5,6] -0.868333
image.sobel_edges(RGB) => float32[2,5,6,3,2] 21.2615
image.ssim(RGB12, RGB12 * 0.9) => float32[2] 1.80195
image.scale_and_translate(X, (2, 6, 4, 4), [1.5, 0.7], [0.5, 1.0], (1, 2), "linear") => float32[2,6,4,4] 0.651067
image.scale_and_translate(X, (2, 6, 4, 4), [1.5, 0.7], [0.5, 1.0], (1, 2), "lanczos3") => float32[2,6,4,4] 0.853355
image.scale_and_translate(X, (2, 6, 4, 4), [1.5, 0.7], [0.5, 1.0], (1, 2), "cubic", antialias=False)
  => float32[2,6,4,4] 1.76272
"""
TABLE = [tuple(line.split(" => ")) for line in re.sub(r"\n +=>", " =>", RECORDED).splitlines()]
# These read values on the host or give what depends on them, so that no model can hold them.
DYNAMIC = re.compile(
    r"^(unique|bincount|nonzero|where\(Z\)|is_tensor|shape|ndim|segment_sum\(M, torch.tensor\(\[0, -1)"
)


def call(expression: str, **tensors: Any) -> Any:
    names = {**OPS, **SETTING, **TENSORS, **tensors}
    if expression.startswith("get_item"):
        names["slice"] = builtins.slice
    return eval(expression, names)


def used(expression: str) -> list[str]:
    return [name for name in re.findall(r"\b[A-Z]\w*\b", expression) if name in TENSORS]


def tensors_of(result: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, (Tensor, SymbolicTensor))]


# Where Keras on torch fails, or does not do what NumPy does.
NUMPY = [
    "average(A, axis=1, weights=[1.0, 2.0, 3.0])",
    "average(A, weights=P)",
    "count_nonzero(Z, 1)",
    "correlate([1.0, 2.0, 0.5], V, mode='same')",
    "correlate([1.0, 2.0, 0.5, 4.0], V, mode='same')",
    "linspace([0.0, 1.0], [1.0, 5.0], 3)",
    "linspace([0.0, 1.0], [1.0, 5.0], 3, axis=-1)",
    "linspace(0, 10, 4, retstep=True)[1]",
    "repeat(M, [1, 0, 2], 0)",
    "pad(M, 1)",
    "pad(M, (1, 2))",
    "pad(V, ((2, 3),), 'symmetric')",
    "pad(V, ((7, 9),), 'symmetric')",
    "pad(V, ((7, 9),), 'reflect')",
    "pad(V, ((7, 9),), 'wrap')",
    "pad(M, ((2, 3), (0, 1)), 'edge')",
    "pad(I, ((1, 0), (0, 1)), 'edge')",
    "dot(A, B4)",
    "vdot(A, B)",
    "cross([1.0, 2.0, 0.0], [4.0, 5.0, 6.0])",
    "cross(moveaxis(C3, -1, 0), C3, axisa=0)",
    "cross(C3, 2 * C3 + 1, axisc=0)",
    "unique([3, 1, 1])",
    "nanvar(NAN2[::2], 1)",
    "median(A, axis=(0, 2), keepdims=True)",
    "quantile(A, [0.1, 0.5, 0.9], axis=(0, 1), keepdims=True)",
    "argsort([2, 1, 2, 1])",
    "vander(I[0])",
    "diff(I, axis=0)",
    "select([A > 5, A > 6], [A, B], 2.5)",
    "trace(I)",
    "cumsum(A > 0)",
    "searchsorted([1, 2, 3], [2.5, 1.0], side='right')",
    "logspace([0.0, 1.0], [1.0, 2.0], 3)",
    "geomspace([1.0, 2.0], [10.0, 200.0], 4)",
    "unravel_index([3, 5], (2, 3))",
    "histogram([1, 2, 4, 4, 9], bins=4)[0]",
    "corrcoef(M)",
    "rot90(A, -1, (2, 1))",
]
# What a model can hold.
SYMBOLIC = [expression for expression, _ in TABLE if used(expression) and not DYNAMIC.match(expression)]
# More that is written into files.
MORE = """\
A + 1; 1 + A; A - B; 1 - A; 2 * A; A * B; A / 2; 2 / P; A // 0.7; 2 // P; A % 0.7; 2 % P; P ** 2; 2 ** A; A @ B4; -A
A > 0; A >= B; A < 0; A <= B; A != B; 0 < A
A[0]; A[:, 0]; A[..., 0]; A[:, 1:, None]; A[:, ::2, -1]; A[0, 1]; A[1, 1:]; A[:, [0, 2]]
minimum(0.1, A); maximum(0.1, A); power(2.0, A); floor_divide(2.0, P); mod(2.0, P); where(A > 0, 0.0, A)
where(A > 0, torch.ones(4), A); digitize(V, torch.tensor([0.0, 1.0])); meshgrid(V, V); average(A, 1, weights=P)
add(A, torch.ones(4)); isin(I, [2, 5]); searchsorted(V, [0.5]); count_nonzero(Z, 1); array(A, "int32"); copy(A)
arange(0, 4, 1, "float32") + M; vdot(V, V); argpartition(A, 1); append(A, [1.0]); cross(C3, C3); slogdet(SPD)
one_hot(I3, 3, dtype="int32"); multi_hot(I3, 30); one_hot(argmax(A, -1), 6); cast(A > 0, "int32")
in_top_k(I3[:, 0, 0], A[:, 0], 2)
segment_sum(V, [0, 1, 1, 0, 2], num_segments=3); slice(A, [0, 1, 1], (2, 2, 2)); unravel_index(I, (4, 5)); diagflat(V)
scatter(I[:, :1], V2[0, :2], (20,)); sqrt(square(A) + 1); top_k(A, 2)[0]; softmax(A, axis=(1, 2)); view(A, "int32")
irfft(rfft(V)); tensordot(A, torch.ones(4, 2), axes=1); dot(A, torch.ones(4, 2)); stack([A, 2 * A], 1); split(A, 2)[1]
logical_and(A > 0, B > 0); bitwise_left_shift(I, 2); true_divide(A, B); left_shift(I, 1); conj(A); abs(A); amax(A, 1)
vstack([A, A]); matmul(A, B4); image.elastic_transform(X, 1.0, 2.0, seed=3); linspace(0.0, V, 3); full((2,), V[0])
logspace(0.0, V, 3); geomspace(1.0, P[0, 0], 3); digitize(A, torch.tensor([0.0, 1.0])); heaviside(A, torch.tensor(0.5))
correlate(V, torch.tensor([1.0, 2.0]), "same"); solve(SPD, torch.ones(3, 1)); lstsq(transpose(M), torch.ones(4))
solve_triangular(SPD, torch.ones(3, 1), lower=True); adaptive_average_pool(X, (2, 2)); append(A, torch.ones(1))
batch_normalization(A, torch.zeros(3), torch.ones(3), 1); sparse_categorical_crossentropy(torch.tensor([0, 2]), SM)
ctc_loss(torch.tensor([[1, 2, 1], [1, 2, 2]]), LOG, torch.tensor([3, 2]), torch.tensor([5, 4]))
image.affine_transform(X, torch.tensor(WARP)); image.perspective_transform(X, torch.tensor(FROM), torch.tensor(TO))
image.map_coordinates(M, torch.tensor([[0.5, 1.2], [0.0, 1.5]]), 1); searchsorted(V, torch.tensor([0.5]))
segment_sum(V, torch.tensor([0, 1, 1, 0, 2]), num_segments=3); normalize(A, axis=1)
take_along_axis(A, torch.zeros(2, 3, 1, dtype=torch.int64), 2); dot_product_attention(Q, KEY, VAL, BIAS, scale=0.5)
rms_normalization(A, torch.ones(4)); layer_normalization(A, torch.ones(4), torch.ones(4)); trapezoid(A, axis=1)
binary_crossentropy(SM, SM); saturate_cast(A * 300, "uint8"); convert_to_tensor(A); convert_to_tensor(A, "float64")
"""
EXPRESSIONS = list(dict.fromkeys([*SYMBOLIC, *re.split(r"; |\n", MORE.strip())]))
