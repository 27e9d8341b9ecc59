# MIME::Lite, which sends through sendmail unless it is told otherwise.
use strict;
use warnings;
use Encode qw(decode encode);
use MIME::Lite;

open my $file, '<:raw', 'body' or die;
my $body = do { local $/; <$file> };
my $words = sub { encode('MIME-Q', decode('UTF-8', shift)) };
my $mail = MIME::Lite->new(
    From    => $words->('Jörg Größe') . ' <noreply@contoso.test>',
    To      => 'ann@example.com',
    Bcc     => 'hid@example.com',
    Subject => $words->('Grüße aus Köln – 日本語 ✓'),
    Type    => 'multipart/mixed',
);
$mail->attach(Type => 'text/plain; charset=utf-8', Encoding => 'quoted-printable', Data => $body);
$mail->attach(Type => 'application/octet-stream', Encoding => 'base64', Path => 'attachment.bin');
print eval { $mail->send } ? "sent\n" : "failed: $@\n";
