<?php
// PHP mail(), the ways it is met: raw UTF-8 in the header, recipients in Bcc, a fifth parameter.
$headers = ['From' => 'Jörg Größe <noreply@contoso.test>', 'Bcc' => 'hid@example.com'];
$typed = $headers + [
    'MIME-Version' => '1.0',
    'Content-Type' => 'text/plain; charset=utf-8',
    'Content-Transfer-Encoding' => '8bit',
];
$subject = 'Grüße aus Köln – 日本語 ✓';
$body = file_get_contents('body');
$sent = match ($argv[1]) {
    'four' => mail('ann@example.com', $subject, $body, $typed),
    'five' => mail('ann@example.com', $subject, $body, $typed, '-fnoreply@contoso.test'),
    'bare' => mail('ann@example.com', $subject, $body, $headers),
    'lf' => mail('ann@example.com', $subject, $body, implode("\n", array_map(
        fn ($name, $value) => "$name: $value", array_keys($typed), $typed))),
};
echo $sent ? "sent\n" : "failed\n";
