<?php
// Symfony Mailer with the transport that its DSN names.
require 'Symfony/Component/Mailer/autoload.php';
require 'Symfony/Component/Mime/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Address;
use Symfony\Component\Mime\Email;

$email = (new Email())
    ->from(new Address('noreply@contoso.test', 'Jörg Größe'))
    ->to('ann@example.com')
    ->bcc('hid@example.com')
    ->subject('Grüße aus Köln – 日本語 ✓')
    ->text(file_get_contents('body'))
    ->attachFromPath('attachment.bin');
$mailer = new Mailer(Transport::fromDsn($argv[1]));
for ($left = (int) ($argv[2] ?? 1); $left > 0; $left--) {
    try {
        $mailer->send($email);
        echo "sent\n";
    } catch (Exception $error) {
        echo 'failed: ', $error->getMessage(), "\n";
    }
}
