// without scripts, the page's button or link does the same
const carry = document.getElementById("carry");
if (carry instanceof HTMLFormElement) carry.submit();
else location.replace(carry.href);
